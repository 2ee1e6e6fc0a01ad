"""Every shipped configuration builds; unknown keys are refused, Serve's and ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from serve_app.app import build
from serve_app.cli import app
from serve_app.config import PlanningConfig, ServiceConfig
from serve_app.errors import ConfigurationError
from serve_app.serve_config import check, read, service_settings
from tests.conftest import ROOT

CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
NAMES = [path.name for path in CONFIGS]
OF_SERVICES = [path for path in CONFIGS if "applications" in read(path)]


def changed(tmp_path: Path, *path: str | int, value: Any) -> Path:
    """configs/local.yaml with one setting changed."""
    settings = yaml.safe_load((ROOT / "configs" / "local.yaml").read_text())
    place = settings
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    file = tmp_path / "changed.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


@pytest.mark.parametrize("path", OF_SERVICES, ids=lambda path: path.name)
def test_every_configuration_of_a_service_builds(path: Path) -> None:
    (config,) = check(path)
    arguments = yaml.safe_load(path.read_text())["applications"][0]["args"]
    application = build(arguments)
    assert application is not None
    assert config.deployments.editor.num_gpus == (0 if path.name == "local.yaml" else 1)


@pytest.mark.parametrize("path", CONFIGS, ids=NAMES)
def test_the_services_own_settings_are_read_from_every_configuration(path: Path) -> None:
    """So that a bulk run makes the very edits of a service."""
    assert [service_settings(path)] == check(path)


def test_a_bulk_run_needs_no_gpu_by_default() -> None:
    config = service_settings(ROOT / "configs" / "bulk.yaml")
    local = service_settings(ROOT / "configs" / "local.yaml")
    assert config.bulk.editors.num_gpus == 0
    assert config.model == local.model
    assert config.bulk.seconds_per_forward is not None
    # Together the actors are two CPUs.
    pools = (config.bulk.editors, config.bulk.loaders, config.bulk.validators)
    assert sum(pool.number * pool.num_cpus for pool in pools) <= 2


def written(tmp_path: Path, content: str) -> Path:
    file = tmp_path / "settings.yaml"
    file.write_text(content, encoding="utf-8")
    return file


def test_settings_may_stand_alone(tmp_path: Path) -> None:
    file = written(tmp_path, "planning: {num_inference_steps: 9}\n")
    config = service_settings(file)
    assert config == ServiceConfig(planning=PlanningConfig(num_inference_steps=9))
    assert check(file) == [config]


def test_settings_are_those_of_the_first_application(tmp_path: Path) -> None:
    first, second = ({"args": {"planning": {"num_inference_steps": n}}} for n in (5, 6))
    file = written(tmp_path, yaml.safe_dump({"applications": [first, second]}))
    assert service_settings(file).planning.num_inference_steps == 5


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("planing: {}", "planing"),
        ("planning: {num_inference_steps: 0}", "planning.num_inference_steps"),
        ("bulk: {editors: {number: 0}}", "bulk.editors.number"),
        ("bulk: {editor: {number: 1}}", "bulk.editor"),
        ("http_options: {port: 80}", "http_options"),
        ("applications: []", "no application with `args`"),
        ("applications: [{name: x}]", "no application with `args`"),
        ("applications: [{args: {planing: {}}}]", "planing"),
        ("- planning", "must be a mapping"),
        ("", "must be a mapping"),
        ("planning: [", "not valid YAML"),
    ],
)
def test_settings_that_can_not_be_used_are_told(tmp_path: Path, content: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=r"settings\.yaml") as refused:
        service_settings(written(tmp_path, content))
    assert told in refused.value.message


def test_what_is_no_file_of_settings_is_told(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe")
    for file in (tmp_path / "nowhere.yaml", tmp_path, binary):
        for reading in (service_settings, check):
            with pytest.raises(ConfigurationError, match="can't be read"):
                reading(file)


def test_wrong_settings_alone_are_told_by_the_command(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["check-config", str(written(tmp_path, "planing: {}"))])
    assert run.exit_code == 1
    assert "planing" in run.output


def test_the_promised_configurations_are_there_and_explained() -> None:
    promised = {"local", "single_gpu", "low_memory", "lightning", "cascade", "bulk"}
    assert {f"{name}.yaml" for name in promised} <= set(NAMES)
    explained = (ROOT / "configs" / "README.md").read_text()
    assert [name for name in NAMES if f"| `{name}` |" not in explained] == []


def shipped(name: str) -> ServiceConfig:
    (config,) = check(ROOT / "configs" / name)
    return config


def test_a_large_card_runs_both_rows_of_guidance_together_and_compiles_before_ready() -> None:
    acceleration = shipped("single_gpu.yaml").engine.acceleration
    assert acceleration.stack_guidance
    assert acceleration.compile
    assert acceleration.warm_up_sizes


def test_a_small_card_has_room_for_the_larger_turn_and_one_row() -> None:
    """By the models' parameters, in GB of 24 GiB: the comment of the file, recomputed."""
    config = shipped("low_memory.yaml")
    memory, engine = config.model.memory, config.engine
    assert (memory.quantization, memory.offload, engine.max_batch_size) == ("int8", "model", 1)
    card, context, vae = 24 * 2**30, 0.6e9, 2 * 0.126892531e9
    transformer, text_encoder = 1.002 * 20.430401088e9, 2 * 8.292166656e9
    assert engine.memory_bytes is not None
    one_row = 2.3e9
    assert engine.memory_bytes >= one_row
    held = vae + context + engine.reuse_bytes
    assert max(transformer, text_encoder) + held + engine.memory_bytes < card


def test_few_steps_have_their_steps_and_no_guidance() -> None:
    config = shipped("lightning.yaml")
    assert config.model.few_step is not None
    assert config.model.few_step.scheduler == "lightning"
    assert (config.planning.num_inference_steps, config.planning.true_cfg_scale) == (4, 1.0)


def test_a_cascade_leaves_full_edits_their_steps_and_has_attempts_for_them() -> None:
    config = shipped("cascade.yaml")
    assert config.model.drafts is not None
    assert (config.model.drafts.steps, config.model.drafts.true_cfg_scale) == (4, 1.0)
    assert config.planning.num_inference_steps is config.planning.true_cfg_scale is None
    assert config.planning.quality == "standard"
    assert config.planning.max_attempts > 1
    # As for the same card without drafts.
    alike = shipped("single_gpu.yaml")
    stacked = config.engine.acceleration.stack_guidance
    assert stacked == alike.engine.acceleration.stack_guidance
    assert config.limits.request_s == alike.limits.request_s


@pytest.mark.parametrize(
    ("path", "named"),
    [
        (("http_option",), "http_option"),
        (("http_options", "prt"), "http_options.prt"),
        (("applications", 0, "import_pth"), "applications.0.import_pth"),
        (("applications", 0, "deployments"), "applications.0.deployments.0.nam"),
    ],
)
def test_keys_that_serve_would_ignore_are_refused(
    tmp_path: Path, path: tuple[str | int, ...], named: str
) -> None:
    value = [{"nam": "Editor"}] if path[-1] == "deployments" else 1
    with pytest.raises(ConfigurationError, match=named):
        check(changed(tmp_path, *path, value=value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("applications", 0, "args", "modle"), {}),
        (("applications", 0, "args", "model", "checkpont"), "x"),
        (("applications", 0, "args", "engine", "max_batch_size"), 0),
        (("applications", 0, "args", "engine", "max_pending"), 1000),
        (("applications", 0, "args", "engine", "acceleration"), {"warm_up_sizes": ["1024"]}),
        (
            ("applications", 0, "args", "model", "memory"),
            {"quantization": "int8", "gguf": "/models/transformer.gguf"},
        ),
        (("applications", 0, "args", "jobs"), {"watchers": 200}),
        (("applications", 0, "args", "deployments", "cache"), {"max": 2}),
        (("applications", 0, "args", "deployments", "router"), {"min": 3, "max": 2}),
        (("applications", 0, "args", "planning", "edit_types"), {"semantics": {}}),
    ],
)
def test_our_own_unknown_or_wrong_settings_are_refused(
    tmp_path: Path, path: tuple[str | int, ...], value: Any
) -> None:
    file = changed(tmp_path, *path, value=value)
    with pytest.raises(ValidationError):
        check(file)
    with pytest.raises(ValidationError):
        build(yaml.safe_load(file.read_text())["applications"][0]["args"])


def test_the_command_names_what_is_wrong(tmp_path: Path) -> None:
    run = CliRunner().invoke(app, ["check-config", str(CONFIGS[0])])
    assert run.exit_code == 0
    wrong = changed(tmp_path, "applications", 0, "args", "modle", value={})
    run = CliRunner().invoke(app, ["check-config", str(wrong)])
    assert run.exit_code == 1
    assert "modle" in run.output


def test_a_partly_given_edit_type_keeps_its_own_defaults() -> None:
    planning = PlanningConfig.model_validate(
        {"edit_types": {"appearance": {"num_inference_steps": 9}}}
    )
    assert planning.edit_types.appearance.num_inference_steps == 9
    assert planning.edit_types.appearance.true_cfg_scale == 4.5
    assert planning.edit_types.semantic.true_cfg_scale == 3.5


def test_a_partly_given_deployment_keeps_its_own_defaults() -> None:
    config = ServiceConfig.model_validate({"deployments": {"editor": {"num_gpus": 0}}})
    assert config.deployments.editor.max_ongoing_requests > config.engine.max_pending
    assert config.deployments.router == ServiceConfig().deployments.router


def test_serve_must_not_cut_requests_off_before_we_do(tmp_path: Path) -> None:
    file = changed(tmp_path, "http_options", "request_timeout_s", value=100)
    with pytest.raises(ConfigurationError, match="request_s"):
        check(file)
