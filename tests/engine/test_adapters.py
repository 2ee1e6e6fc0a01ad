"""LoRA adapters on the miniature: exact on, exact off, and never half on."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from safetensors.torch import load_file, save_file

from serve_app.config import AdaptersConfig
from serve_app.edits.request import LoraUse
from serve_app.engine.adapters import Adapters
from serve_app.engine.load import Checkpoint
from serve_app.errors import ConfigurationError, UnusableAdapter
from tests.engine.lora_files import (
    ATTENTION,
    EVERYWHERE,
    save_as_diffusers,
    save_as_kohya,
    save_bare,
    save_with_alphas,
    trained,
)

A, B, WIDE = LoraUse("a"), LoraUse("b.v1-x", 0.7), LoraUse("wide")


def _fresh(checkpoint: Checkpoint) -> Any:
    """The shared pipeline around a transformer of its own."""
    shared = checkpoint.pipeline
    own = copy.deepcopy(shared.transformer)
    return type(shared)(**(shared.components | {"transformer": own}))


def _forward(pipeline: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        output: torch.Tensor = pipeline.transformer(
            hidden_states=torch.randn(1, 32, 64, generator=generator),
            encoder_hidden_states=torch.randn(1, 9, 64, generator=generator),
            timestep=torch.tensor([0.6]),
            img_shapes=[[(1, 4, 4), (1, 4, 4)]],
            return_dict=False,
        )[0]
    return output


def _with_dense_change(
    pipeline: Any, weights: dict[str, torch.Tensor], strength: float
) -> torch.Tensor:
    """The formula of LoRA, in the weights themselves: W + strength * up @ down."""
    merged = copy.copy(pipeline)
    merged.transformer = copy.deepcopy(pipeline.transformer)
    for key, down in weights.items():
        if key.endswith("lora_A.weight"):
            up = weights[key.replace("lora_A", "lora_B")]
            layer = merged.transformer.get_submodule(key.removesuffix(".lora_A.weight"))
            with torch.no_grad():
                layer.weight += strength * (up @ down)
    return _forward(merged)


def _shape_of(pipeline: Any) -> tuple[list[str], list[str]]:
    modules = [f"{name}: {type(it).__name__}" for name, it in pipeline.transformer.named_modules()]
    return modules, list(pipeline.transformer.state_dict())


@pytest.fixture(scope="module")
def folder(plus: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapters")
    transformer = plus.pipeline.transformer
    save_as_diffusers(folder / "a.safetensors", *trained(transformer, 1, lora_alpha=4))
    save_bare(folder / "b.v1-x.safetensors", trained(transformer, 2, rank=2)[0])
    weights, config = trained(transformer, 3, rank=8, lora_alpha=2, targets=EVERYWHERE)
    save_as_diffusers(folder / "wide.safetensors", weights, config)
    return folder


@pytest.fixture
def pipeline(plus: Checkpoint) -> Any:
    return _fresh(plus)


@pytest.fixture
def adapters(pipeline: Any, folder: Path) -> Adapters:
    return Adapters(pipeline, AdaptersConfig(folder=folder))


def _alone(pipeline: Any, folder: Path, name: str) -> Adapters:
    """Adapters with room for the named one and no byte more."""
    sizes = {
        it.name: it.nbytes for it in Adapters(pipeline, AdaptersConfig(folder=folder)).descriptions
    }
    rest = folder.parent / f"only-{name}"
    rest.mkdir(exist_ok=True)
    for file in folder.glob("*.safetensors"):
        if sizes[file.stem] <= sizes[name] and not (rest / file.name).exists():
            (rest / file.name).symlink_to(file)
    return Adapters(pipeline, AdaptersConfig(folder=rest, memory_bytes=sizes[name]))


# What an adapter does.


def test_descriptions_name_the_files_and_their_bytes_on_the_device(
    adapters: Adapters, folder: Path
) -> None:
    a, b, wide = adapters.descriptions
    assert [a.name, b.name, wide.name] == ["a", "b.v1-x", "wide"]
    for one in (a, b, wide):
        tensors = load_file(folder / f"{one.name}.safetensors")
        assert one.nbytes == sum(4 * it.numel() for it in tensors.values())
        assert one.revision.startswith("sha256-")
        assert len(one.revision) == len("sha256-") + 16
    assert len({a.revision, b.revision, wide.revision}) == 3


@pytest.mark.parametrize("use", [A, B, WIDE])
def test_an_adapter_gives_what_stock_diffusers_gives(
    pipeline: Any, adapters: Adapters, plus: Checkpoint, folder: Path, use: LoraUse
) -> None:
    stock = _fresh(plus)
    if use is B:  # its keys have no prefix, which the stock loader only warns about
        tensors = load_file(folder / f"{use.name}.safetensors")
        stock.load_lora_weights(
            {f"transformer.{key}": it for key, it in tensors.items()}, adapter_name="it"
        )
    else:
        stock.load_lora_weights(folder, weight_name=f"{use.name}.safetensors", adapter_name="it")
    stock.set_adapters("it", use.scale)
    adapters.activate(use)
    assert torch.equal(_forward(pipeline), _forward(stock))


@pytest.mark.parametrize("prefix", ["", "transformer.", "diffusion_model.", "base_model.model."])
def test_every_key_convention_gives_the_same(
    pipeline: Any, plus: Checkpoint, tmp_path: Path, prefix: str
) -> None:
    weights, _ = trained(plus.pipeline.transformer, 5)
    save_bare(tmp_path / "it.safetensors", weights, prefix)
    expected = _with_dense_change(pipeline, weights, 0.5)
    Adapters(pipeline, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it", 0.5))
    torch.testing.assert_close(_forward(pipeline), expected)


@pytest.mark.parametrize("save", [save_as_kohya, save_with_alphas])
def test_alpha_tensors_count(
    pipeline: Any, plus: Checkpoint, tmp_path: Path, save: Callable[..., None]
) -> None:
    weights, _ = trained(plus.pipeline.transformer, 6, rank=4, targets=EVERYWHERE)
    save(tmp_path / "it.safetensors", weights, 1.0)
    expected = _with_dense_change(pipeline, weights, 1.0 / 4)
    stock = _fresh(plus)
    stock.load_lora_weights(tmp_path, weight_name="it.safetensors", adapter_name="it")
    Adapters(pipeline, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it"))
    torch.testing.assert_close(_forward(pipeline), expected)
    torch.testing.assert_close(_forward(pipeline), _forward(stock))


def test_rank_and_alpha_patterns_and_rslora_count(
    pipeline: Any, plus: Checkpoint, tmp_path: Path
) -> None:
    weights, config = trained(
        plus.pipeline.transformer,
        7,
        rank=4,
        lora_alpha=2,
        rank_pattern={"to_q": 8, "transformer_blocks.0.attn.to_k": 1},
        alpha_pattern={"to_q": 3},
        use_rslora=True,
    )
    save_as_diffusers(tmp_path / "it.safetensors", weights, config)
    ranks = {len(it) for key, it in weights.items() if "lora_A" in key}
    assert ranks == {1, 4, 8}
    stock = _fresh(plus)
    stock.load_lora_weights(tmp_path, weight_name="it.safetensors", adapter_name="it")
    Adapters(pipeline, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it"))
    torch.testing.assert_close(_forward(pipeline), _forward(stock))


def test_scale_zero_equals_none_and_the_scale_is_that_of_the_change(
    pipeline: Any, adapters: Adapters, folder: Path
) -> None:
    plain = _forward(pipeline)
    adapters.activate(LoraUse("a", 0.0))
    assert torch.equal(_forward(pipeline), plain)
    tensors = load_file(folder / "a.safetensors")
    weights = {key.removeprefix("transformer."): it for key, it in tensors.items()}
    for scale in (1.0, -1.0, 0.25, 4.0):
        adapters.activate(LoraUse("a", scale))
        with_it = _forward(pipeline)
        adapters.activate(None)
        torch.testing.assert_close(with_it, _with_dense_change_of(pipeline, weights, scale))


def _with_dense_change_of(
    pipeline: Any, weights: dict[str, torch.Tensor], scale: float
) -> torch.Tensor:
    """As ``_with_dense_change``, for a transformer whose layers are wrapped already."""
    plain = copy.copy(pipeline)
    plain.transformer = copy.deepcopy(pipeline.transformer)
    plain.transformer.unload_lora()
    return _with_dense_change(plain, weights, scale)


# Beside others, and after.


def test_requests_with_and_without_adapters_don_t_touch_each_other(
    adapters: Adapters, pipeline: Any, plus: Checkpoint, folder: Path
) -> None:
    uses = (None, A, B, WIDE, LoraUse("a", -2.0))
    alone = {}
    for use in uses:
        own = _fresh(plus)
        Adapters(own, AdaptersConfig(folder=folder)).activate(use)
        alone[use] = _forward(own)
    assert len({it.sum().item() for it in alone.values()}) == len(uses)
    for use in (A, None, B, A, WIDE, None, LoraUse("a", -2.0), A, B, None):
        adapters.activate(use)
        assert torch.equal(_forward(pipeline), alone[use])


def test_nothing_is_left_of_an_adapter_that_was_dropped(pipeline: Any, folder: Path) -> None:
    plain = _forward(pipeline)
    adapters = _alone(pipeline, folder, "a")
    adapters.activate(A)
    with_a, with_a_shape = _forward(pipeline), _shape_of(pipeline)
    adapters.activate(B)  # drops a
    assert not torch.equal(_forward(pipeline), with_a)
    assert not any("adapter_0000" in key for key in _shape_of(pipeline)[1])
    adapters.activate(None)
    assert torch.equal(_forward(pipeline), plain)
    adapters.activate(A)
    assert torch.equal(_forward(pipeline), with_a)
    assert _shape_of(pipeline) == with_a_shape


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_grad_mode_of_the_device_thread_doesn_t_matter(
    pipeline: Any, adapters: Adapters, mode: Callable[[], Any]
) -> None:
    plain = _forward(pipeline)
    adapters.activate(B)
    with mode():
        adapters.activate(A)
        with_a = _forward(pipeline)
    adapters.activate(WIDE)
    adapters.activate(None)
    assert torch.equal(_forward(pipeline), plain)
    adapters.activate(A)
    assert torch.equal(_forward(pipeline), with_a)
    assert not torch.equal(with_a, plain)


# Memory modes.


def _float8(transformer: Any) -> Any:
    transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32
    )
    return transformer


def _int8(transformer: Any) -> Any:
    quantization = pytest.importorskip("torchao.quantization")
    quantization.quantize_(transformer.transformer_blocks, quantization.Int8WeightOnlyConfig())
    return transformer


def _groups(transformer: Any) -> Any:
    cpu = torch.device("cpu")
    transformer.enable_group_offload(cpu, offload_type="block_level", num_blocks_per_group=1)
    return transformer


@pytest.mark.parametrize("reduce", [_float8, _int8, _groups])
def test_memory_modes_keep_adapters_exact(
    pipeline: Any, plus: Checkpoint, folder: Path, reduce: Callable[[Any], Any]
) -> None:
    """On and off the base gives what it gave; the adapter's own weights are not rounded."""
    pipeline.transformer = reduce(pipeline.transformer)
    plain = _forward(pipeline)
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder))
    for use in (A, WIDE, None, A):
        adapters.activate(use)
        assert torch.equal(_forward(pipeline), plain) == (use is None)
    there = {
        key.replace(".adapter_0000", ""): it
        for key, it in pipeline.transformer.state_dict().items()
        if ".adapter_0000" in key
    }
    file = load_file(folder / "a.safetensors")
    assert there.keys() == {key.removeprefix("transformer.") for key in file}
    for key, weight in there.items():
        assert torch.equal(weight, file[f"transformer.{key}"])


def test_adapters_take_the_transformer_s_number_format(pipeline: Any, folder: Path) -> None:
    full = Adapters(pipeline, AdaptersConfig(folder=folder)).descriptions
    pipeline.transformer.to(torch.bfloat16)
    adapters = Adapters(pipeline, AdaptersConfig(folder=folder))
    assert [2 * it.nbytes for it in adapters.descriptions] == [it.nbytes for it in full]
    adapters.activate(A)
    assert {it.dtype for it in pipeline.transformer.parameters()} == {torch.bfloat16}
    assert adapters.loaded_bytes == adapters.descriptions[0].nbytes


# What doesn't fit.


def _with(tensors: dict[str, torch.Tensor], **changes: torch.Tensor | None) -> Any:
    changed = {**tensors, **changes}
    return {key: it for key, it in changed.items() if it is not None}


Q = "transformer.transformer_blocks.0.attn.to_q.lora_A.weight"
Q_UP = Q.replace("lora_A", "lora_B")
ONE = torch.ones(1, 1)
MISFITS: dict[str, dict[str, torch.Tensor | None]] = {
    "another model": {Q.replace("transformer_blocks.0", "transformer_blocks.7"): ONE},
    "text encoder": {"text_encoder.layers.0.self_attn.q_proj.lora_A.weight": ONE},
    "kohya's text encoder": {"lora_te_text_model_layers_0_q.lora_down.weight": ONE},
    "unknown prefix": {"unet.transformer_blocks.0.attn.to_q.lora_A.weight": ONE},
    "a layer that is not linear": {"transformer.txt_norm.lora_A.weight": ONE},
    "DoRA": {"transformer.transformer_blocks.0.attn.to_q.dora_scale": ONE},
    "LoKr": {"transformer.transformer_blocks.0.attn.to_q.lokr_w1": ONE},
    "bias": {Q_UP.replace("weight", "bias"): torch.ones(48)},
    "whole weights": {"transformer.proj_out.weight": torch.ones(64, 48)},
    "twice": {Q.replace("lora_A", "lora_down"): torch.ones(4, 48)},
    "half missing": {Q_UP: None},
    "inputs": {Q: torch.ones(4, 49)},
    "outputs": {Q_UP: torch.ones(47, 4)},
    "ranks": {Q: torch.ones(5, 48)},
    "rank 0": {Q: torch.ones(0, 48), Q_UP: torch.ones(48, 0)},
    "a vector": {Q: torch.ones(48)},
    "alpha of several": {Q.replace("lora_A.weight", "alpha"): torch.ones(2)},
}


@pytest.mark.parametrize("change", MISFITS.values(), ids=MISFITS)
def test_a_file_that_doesn_t_fit_is_refused_whole(
    pipeline: Any, folder: Path, tmp_path: Path, change: dict[str, torch.Tensor | None]
) -> None:
    save_file(_with(load_file(folder / "a.safetensors"), **change), tmp_path / "it.safetensors")
    plain, shape = _forward(pipeline), _shape_of(pipeline)
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    assert adapters.descriptions == ()
    for ask in (adapters.check, adapters.hold, adapters.activate):
        with pytest.raises(UnusableAdapter, match="does not fit") as raised:
            ask(LoraUse("it"))
        assert raised.value.param == "lora"
        assert raised.value.status == 422
    assert _shape_of(pipeline) == shape
    assert torch.equal(_forward(pipeline), plain)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x04K\x01.", b"\xff" * 64], ids=["empty", "pickle", "noise"]
)
def test_a_file_that_is_no_safetensors_is_refused(
    pipeline: Any, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "it.safetensors").write_bytes(content)
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    with pytest.raises(UnusableAdapter):
        adapters.check(LoraUse("it"))


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(
    pipeline: Any, folder: Path, tmp_path: Path, number: float
) -> None:
    tensors = load_file(folder / "a.safetensors")
    tensors[Q][0, 0] = number
    save_file(tensors, tmp_path / "it.safetensors")
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    shape = _shape_of(pipeline)
    for ask in (lambda: adapters.read("it"), lambda: adapters.activate(LoraUse("it"))):
        with pytest.raises(UnusableAdapter):
            ask()
    assert _shape_of(pipeline) == shape


@pytest.mark.parametrize(
    "metadata",
    [
        "not JSON",
        "[]",
        json.dumps({"transformer.lora_alpha": "much"}),
        json.dumps({"transformer.alpha_pattern": {"(": 1}}),
        json.dumps({"transformer.alpha_pattern": ["to_q"]}),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    pipeline: Any, folder: Path, tmp_path: Path, metadata: str
) -> None:
    save_file(
        load_file(folder / "a.safetensors"),
        tmp_path / "it.safetensors",
        {"lora_adapter_metadata": metadata},
    )
    with pytest.raises(UnusableAdapter):
        Adapters(pipeline, AdaptersConfig(folder=tmp_path)).read("it")


def test_settings_can_t_change_the_model(pipeline: Any, folder: Path, tmp_path: Path) -> None:
    """peft would repeat layers, retrain biases or initialize from the base weights for these."""
    hostile = {
        "transformer.r": 4,
        "transformer.lora_alpha": 4,
        "transformer.layer_replication": [[0, 2], [0, 2]],
        "transformer.bias": "all",
        "transformer.init_lora_weights": "pissa",
        "transformer.modules_to_save": ["proj_out"],
    }
    save_file(
        load_file(folder / "a.safetensors"),
        tmp_path / "it.safetensors",
        {"lora_adapter_metadata": json.dumps(hostile)},
    )
    Adapters(pipeline, AdaptersConfig(folder=folder)).activate(A)
    expected = _forward(pipeline)
    own = copy.copy(pipeline)
    own.transformer = copy.deepcopy(pipeline.transformer)
    own.transformer.unload_lora()
    Adapters(own, AdaptersConfig(folder=tmp_path)).activate(LoraUse("it"))
    assert torch.equal(_forward(own), expected)


# The folder.


def test_only_names_found_at_the_scan_are_opened(
    pipeline: Any, adapters: Adapters, folder: Path
) -> None:
    for name in ("", "A", "../a", str(folder / "a"), "a.safetensors", "a\0", "b/v1-x", "*"):
        for ask in (adapters.check, adapters.hold, adapters.activate):
            with pytest.raises(UnusableAdapter, match="no adapter of this name"):
                ask(LoraUse(name))
        with pytest.raises(UnusableAdapter):
            adapters.read(name)
        with pytest.raises(UnusableAdapter):
            adapters.has_room(name)


def test_without_a_folder_there_are_none(pipeline: Any) -> None:
    adapters = Adapters(pipeline, AdaptersConfig())
    adapters.activate(None)
    assert adapters.descriptions == ()
    with pytest.raises(UnusableAdapter):
        adapters.check(A)


def test_a_folder_that_is_not_there_stops_the_start(pipeline: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Adapters(pipeline, AdaptersConfig(folder=tmp_path / "none"))
    assert raised.value.param == "model.adapters.folder"


@pytest.mark.parametrize("name", ["with space", "ü", "-x", "a" * 129])
def test_a_name_that_can_t_be_asked_for_stops_the_start(
    pipeline: Any, folder: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / f"{name}.safetensors").symlink_to(folder / "a.safetensors")
    with pytest.raises(ConfigurationError, match="letters, digits"):
        Adapters(pipeline, AdaptersConfig(folder=tmp_path))


def test_an_adapter_larger_than_the_memory_stops_the_start(pipeline: Any, folder: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Adapters(pipeline, AdaptersConfig(folder=folder, memory_bytes=1000))
    assert raised.value.param == "model.adapters.memory_bytes"


def test_links_count_and_other_files_don_t(pipeline: Any, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked.safetensors").symlink_to(folder / "a.safetensors")
    (tmp_path / ".unfinished.safetensors").write_bytes(b"")
    (tmp_path / "weights.bin").write_bytes(b"")
    (tmp_path / "gone.safetensors").symlink_to(tmp_path / "nowhere")
    (tmp_path / "below.safetensors").mkdir()
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    assert [it.name for it in adapters.descriptions] == ["linked"]
    adapters.activate(LoraUse("linked"))


def test_a_file_that_changed_since_the_start_is_refused_until_the_next(
    pipeline: Any, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes((folder / "a.safetensors").read_bytes())
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    tensors = load_file(path)
    tensors[Q] = tensors[Q] + 1
    save_file(tensors, path)
    for _ in ("changed", "deleted"):
        with pytest.raises(UnusableAdapter, match="changed"):
            adapters.read("it")
        with pytest.raises(UnusableAdapter, match="changed"):
            adapters.activate(LoraUse("it"))
        path.unlink(missing_ok=True)


def test_what_was_read_ahead_needs_no_file_any_more(
    pipeline: Any, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "it.safetensors"
    path.write_bytes((folder / "a.safetensors").read_bytes())
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path))
    plain = _forward(pipeline)
    adapters.read("it")
    path.unlink()
    adapters.activate(LoraUse("it"))
    assert not torch.equal(_forward(pipeline), plain)


# Memory.


def test_a_failed_injection_leaves_the_transformer_as_it_was(
    pipeline: Any, adapters: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, shape = _forward(pipeline), _shape_of(pipeline)
    linear = torch.nn.Linear.__init__

    def fail(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    def fail_later(made: Iterator[int]) -> Callable[..., None]:
        def init(*args: Any, **kwargs: Any) -> None:
            if next(made) == 5:
                fail()
            linear(*args, **kwargs)

        return init

    for before in (None, B):
        adapters.activate(before)
        adapters.activate(None)
        shape = _shape_of(pipeline)
        for where, name, broken in (
            (torch.nn.Linear, "__init__", fail_later(iter(range(1000)))),
            (torch.nn.Module, "load_state_dict", fail),
        ):
            held = adapters.loaded_bytes
            with monkeypatch.context() as patched:
                patched.setattr(where, name, broken)
                with pytest.raises(torch.OutOfMemoryError):
                    adapters.activate(A)
            assert _shape_of(pipeline) == shape
            assert adapters.loaded_bytes == held
            assert torch.equal(_forward(pipeline), plain)
    adapters.activate(A)
    assert not torch.equal(_forward(pipeline), plain)


def test_an_adapter_in_use_stays_and_another_waits(pipeline: Any, folder: Path) -> None:
    adapters = _alone(pipeline, folder, "wide")
    adapters.hold(WIDE)
    adapters.hold(WIDE)
    adapters.activate(WIDE)
    with_wide = _forward(pipeline)
    adapters.release(WIDE)
    assert adapters.has_room("wide")
    assert not adapters.has_room("a")
    with pytest.raises(RuntimeError, match="room"):
        adapters.activate(A)
    adapters.activate(WIDE)
    assert torch.equal(_forward(pipeline), with_wide)
    adapters.release(WIDE)
    assert adapters.has_room("a")
    adapters.activate(A)
    with pytest.raises(ValueError, match="more often"):
        adapters.release(WIDE)


def test_bytes_are_those_of_the_tensors(pipeline: Any, adapters: Adapters) -> None:
    before = sum(it.nbytes for it in pipeline.transformer.parameters())
    for use in (A, WIDE, B):
        adapters.activate(use)
        now = sum(it.nbytes for it in pipeline.transformer.parameters())
        assert adapters.loaded_bytes == now - before
    assert adapters.loaded_bytes == sum(it.nbytes for it in adapters.descriptions)
    assert not any(it.requires_grad for it in pipeline.transformer.parameters())


def test_other_threads_may_read_and_hold_while_one_activates(
    pipeline: Any, adapters: Adapters
) -> None:
    plain = _forward(pipeline)
    uses = {"a": A, "b.v1-x": B, "wide": WIDE}

    def ahead(name: str) -> None:
        for _ in range(20):
            adapters.hold(uses[name])
            adapters.read(name)
            assert adapters.has_room(name)
            adapters.release(uses[name])

    with ThreadPoolExecutor(6) as threads:
        work = [threads.submit(ahead, name) for name in (*uses, *uses)]
        for _ in range(5):
            for use in (A, None, WIDE, B):
                adapters.activate(use)
        for each in work:
            each.result()
    adapters.activate(None)
    assert torch.equal(_forward(pipeline), plain)
    with pytest.raises(ValueError, match="more often"):
        adapters.release(A)


def test_using_an_adapter_again_makes_it_recent(
    pipeline: Any, folder: Path, tmp_path: Path
) -> None:
    for name in "xyz":
        (tmp_path / f"{name}.safetensors").symlink_to(folder / "a.safetensors")
    size = Adapters(pipeline, AdaptersConfig(folder=tmp_path)).descriptions[0].nbytes
    adapters = Adapters(pipeline, AdaptersConfig(folder=tmp_path, memory_bytes=2 * size))
    for name in "xyxz":  # z takes the place of y
        adapters.activate(LoraUse(name))
    there = {key.split(".")[-2] for key in _shape_of(pipeline)[1] if ".lora_A." in key}
    assert there == {"adapter_0000", "adapter_0002"}


class _Uses(RuleBasedStateMachine):
    """Any order of holds, releases and activations, against a list as the model."""

    make: Callable[[], tuple[Any, Adapters]]
    budget: int

    def __init__(self) -> None:
        super().__init__()
        self.pipeline, self.adapters = type(self).make()
        self.sizes = {it.name: it.nbytes for it in self.adapters.descriptions}
        self.uses = {it.name: it for it in (A, B, WIDE)}
        self.held: list[str] = []
        self.recent: list[str] = []

    names = st.sampled_from(["a", "b.v1-x", "wide"])

    @rule(name=names)
    def hold(self, name: str) -> None:
        self.adapters.hold(self.uses[name])
        self.held.append(name)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.held))
        self.adapters.release(self.uses[name])
        self.held.remove(name)

    @rule(name=names)
    def read(self, name: str) -> None:
        self.adapters.read(name)

    @rule()
    def none(self) -> None:
        self.adapters.activate(None)

    @rule(name=names)
    def activate(self, name: str) -> None:
        kept = sum(self.sizes[it] for it in self.recent if it in self.held)
        fits = name in self.recent or kept + self.sizes[name] <= self.budget
        promised = sum(self.sizes[it] for it in set(self.held))  # loaded yet or not
        room = name in self.held or promised + self.sizes[name] <= self.budget
        assert self.adapters.has_room(name) == room
        if not fits:
            with pytest.raises(RuntimeError):
                self.adapters.activate(self.uses[name])
            return
        self.adapters.activate(self.uses[name])
        if name not in self.recent:
            for old in [it for it in self.recent if it not in self.held]:
                if sum(self.sizes[it] for it in (*self.recent, name)) > self.budget:
                    self.recent.remove(old)
        else:
            self.recent.remove(name)
        self.recent.append(name)

    @invariant()
    def there_are_those_of_the_model(self) -> None:
        there = {
            key.split(".lora_A.")[1].removesuffix(".weight")
            for key in self.pipeline.transformer.state_dict()
            if ".lora_A." in key
        }
        keys = {name: f"adapter_{index:04d}" for index, name in enumerate(self.sizes)}
        assert there == {keys[name] for name in self.recent}
        assert self.adapters.loaded_bytes == sum(self.sizes[it] for it in self.recent)
        assert self.adapters.loaded_bytes <= self.budget


def test_the_least_recently_used_leave_and_those_in_use_stay(
    plus: Checkpoint, folder: Path
) -> None:
    sizes = [it.nbytes for it in Adapters(_fresh(plus), AdaptersConfig(folder=folder)).descriptions]

    class Uses(_Uses):
        budget = max(sizes) + min(sizes)

        @staticmethod
        def make() -> tuple[Any, Adapters]:
            pipeline = _fresh(plus)
            config = AdaptersConfig(folder=folder, memory_bytes=Uses.budget)
            return pipeline, Adapters(pipeline, config)

    run_state_machine_as_test(
        Uses, settings=settings(max_examples=10, stateful_step_count=14, deadline=None)
    )


def test_attention_only_adapters_leave_the_rest_alone(pipeline: Any, adapters: Adapters) -> None:
    adapters.activate(A)
    changed = {
        key.split(".base_layer.")[0]
        for key in pipeline.transformer.state_dict()
        if ".base_layer." in key
    }
    assert changed
    assert all(name.endswith(ATTENTION) for name in changed)
