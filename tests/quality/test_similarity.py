"""The similarity judge on tiny random models of the real classes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import (
    BertConfig,
    BertModel,
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

from serve_app.config import JudgeConfig, QualityConfig
from serve_app.edits.question import Question, Reply
from serve_app.edits.request import EditType
from serve_app.engine.miniature.tokenizer import byte_tokenizer
from serve_app.errors import ConfigurationError, NoAnswer
from serve_app.quality.case import Case
from serve_app.quality.judges import open_judge
from serve_app.quality.similarity import SimilarityJudge
from tests.conftest import photo

COFFEE, CAT = photo("coffee", (90, 60)), photo("chelsea", (60, 40))
CASE = Case(COFFEE, CAT, EditType.SEMANTIC, prompt="turn it into a photo of a cat")
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}
WORDS = 40


def make_clip(folder: Path) -> Any:
    tokenizer = byte_tokenizer()
    end = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    text = {
        **SIZES,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": WORDS,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = {**SIZES, "image_size": 32, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    size = {"height": 32, "width": 32}
    processor = CLIPImageProcessorPil(size=size, do_center_crop=False)
    return save(folder, model, tokenizer, processor)


def make_siglip(folder: Path) -> Any:
    tokenizer = byte_tokenizer()
    text = {
        **SIZES,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": WORDS,
        "projection_size": 32,
    }
    vision = {**SIZES, "image_size": 32, "patch_size": 8}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    processor = SiglipImageProcessorPil(size={"height": 32, "width": 32})
    return save(folder, model, tokenizer, processor)


def save(folder: Path, model: Any, tokenizer: Any, processor: Any) -> Any:
    with torch.no_grad():
        model.logit_scale.fill_(3.0)  # as trained ones have it, so that differences show
    for part in (model, tokenizer, processor):
        part.save_pretrained(folder)
    return model.eval()


MAKERS = {"clip": make_clip, "siglip": make_siglip}


@pytest.fixture(scope="module", params=list(MAKERS))
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp(request.param)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        MAKERS[request.param](folder)
    return folder


@pytest.fixture(scope="module")
def judge(checkpoint: Path) -> SimilarityJudge:
    return SimilarityJudge(configured(checkpoint), 1)


def configured(checkpoint: Path | str, **settings: Any) -> JudgeConfig:
    return JudgeConfig(kind="similarity", checkpoint=str(checkpoint), **settings)


async def unable(question: Question) -> Reply:
    raise NoAnswer("It can't be asked.")


def probability(folder: Path, words: str) -> float:
    """The model's own: which of both pictures its whole forward gives the words to."""
    siglip = "siglip" in (folder / "config.json").read_text()
    model_class, processor_class = (
        (SiglipModel, SiglipImageProcessorPil) if siglip else (CLIPModel, CLIPImageProcessorPil)
    )
    pictures = [Image.fromarray(pixels) for pixels in (COFFEE, CAT)]
    pixels = processor_class.from_pretrained(folder)(images=pictures, return_tensors="pt")
    tokens = byte_tokenizer()(
        [words], padding="max_length", max_length=WORDS, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        outputs = model_class.from_pretrained(folder).eval()(**pixels, **tokens)
    return float(outputs.logits_per_text[0].softmax(0)[1])


# The score


@pytest.mark.parametrize("words", ["a cat", "make it blue", "a very long instruction " * 9])
def test_the_score_is_the_models_own_choice_between_both_pictures(
    judge: SimilarityJudge, checkpoint: Path, words: str
) -> None:
    score = judge.score(COFFEE, CAT, words)
    assert score == pytest.approx(probability(checkpoint, words), abs=1e-5)
    assert judge.score(CAT, COFFEE, words) == pytest.approx(1.0 - score, abs=1e-5)
    assert abs(score - 0.5) > 1e-3  # or equality would show little


def test_an_unchanged_picture_gains_nothing(judge: SimilarityJudge) -> None:
    assert judge.score(COFFEE, COFFEE, "make it blue") == pytest.approx(0.5, abs=1e-6)


async def test_the_opinion_names_the_judge_and_its_threshold(
    checkpoint: Path, judge: SimilarityJudge
) -> None:
    config = QualityConfig(judge=configured(checkpoint, threshold=0.6), threads=1)
    opened = open_judge(config, unable)
    assert opened is not None
    opinion = await opened.opinion(CASE)
    assert opinion is not None
    assert (opinion.judge, opinion.threshold) == ("similarity", 0.6)
    assert opinion.score == judge.score(COFFEE, CAT, CASE.prompt)
    assert [answer.yes for answer in opinion.answers] == [opinion.score]


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        " ",
        "remove the cup",
        "Make it blue and erase the spoon",
        "去掉杯子",
        "컵을 제거해 주세요",
    ],
)
async def test_it_says_nothing_without_an_instruction_or_of_removals(
    judge: SimilarityJudge, prompt: str
) -> None:
    assert await judge.opinion(replace(CASE, prompt=prompt)) is None


async def test_it_says_nothing_of_text_since_it_can_not_spell(judge: SimilarityJudge) -> None:
    assert await judge.opinion(replace(CASE, edit_type=EditType.TEXT)) is None


# What is opened


def test_a_hub_id_needs_a_pinned_revision() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        SimilarityJudge(configured("openai/clip-vit-base-patch32"), 1)
    assert "revision" in refusal.value.message


def test_a_folder_without_a_model_is_refused_without_a_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        SimilarityJudge(configured(tmp_path), 1)
    assert refusal.value.param == "quality.judge.checkpoint"
    assert str(tmp_path) not in refusal.value.message


def test_a_model_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    bert = BertModel(BertConfig(vocab_size=300, max_position_embeddings=WORDS, **SIZES))
    bert.save_pretrained(tmp_path)
    byte_tokenizer().save_pretrained(tmp_path)
    CLIPImageProcessorPil().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="BertModel"):
        SimilarityJudge(configured(tmp_path), 1)


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    model = make_clip(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ConfigurationError):
        SimilarityJudge(configured(tmp_path), 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_device_that_is_not_there_is_refused(checkpoint: Path) -> None:
    with pytest.raises(ConfigurationError, match="cuda"):
        SimilarityJudge(configured(checkpoint, device="cuda"), 1)


def test_a_validator_without_it_loads_no_torch() -> None:
    code = "import sys, serve_app.quality.judges; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
