"""What the documents say is so: their commands run, their lists are complete, and both languages say the same."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from src.checkpoints.weights import save_weights
from src.model_utils.config import DEFAULT_FILE, parse_config
from src.Xception import xception
from tests.helpers.deterministic import set_weights
from tests.helpers.project import ROOT
from tests.helpers.real_packages import CLASSES
from tests.helpers.weight_files import convert, need
from tools.make_parameters_page import PAGE, parameters_page

pytestmark = pytest.mark.slow

READMES = ("README.md", "README_CN.md")
PAGES = (*READMES, *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").glob("*.md"))))
IN_CHINESE = tuple(page for page in PAGES if page.endswith("_CN.md"))
BLOCK = re.compile(r"(<!-- tested -->\n)?```(bash|python)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!http)([^)#]*)#?([^)]*)\)")
WITH_CONFIGURATION = ("train.py", "eval.py", "eval_onnx.py", "export.py")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def in_english(page: str) -> str:
    return page.replace("_CN.md", ".md")


def blocks(page: str) -> list[tuple[bool, str, str]]:
    """Return (tested, language, text) of every code block."""
    return [(bool(marker), language, code) for marker, language, code in BLOCK.findall(read(page))]


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield each call of a command of this project in the pages: the file, and the words behind it."""
    for page in set(PAGES) - set(IN_CHINESE):  # which have the same code
        for _, language, code in blocks(page):
            for line in code.splitlines() if language == "bash" else ():
                words = shlex.split(line.partition(" > ")[0], comments=True)
                for number, word in enumerate(words):
                    if word in ("python", "bash") and words[number + 1].endswith((".py", ".sh")):
                        yield words[number + 1], words[number + 2 :]


@cache
def documented_options(command: str) -> frozenset[str]:
    """Return the options in the help of a Python file."""
    module = importlib.import_module(command.removesuffix(".py").replace("/", "."))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        module.main(["--help"])
    return frozenset(re.findall(r"--\w+", said.getvalue()))


def anchors(page: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", read(page), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def default_of(key: str, values: dict) -> set[str]:
    found = [values[key]] if key in values else []
    found += [section[key] for section in values.values() if isinstance(section, dict) and key in section]
    return {str(value).lower() if isinstance(value, bool) else str(value) for value in found}


@pytest.mark.parametrize("page", READMES)
def test_a_new_user_reads_no_more_than_a_few_screens(page):
    assert len(read(page).splitlines()) <= 200


@pytest.mark.parametrize("page", IN_CHINESE)
def test_both_languages_have_the_same_code_output_pictures_and_links(page):
    for pattern in (r"```\w+\n.*?```", r"!\[.*?\]\((.*?)\)", r"@@\w+@@"):
        found = [re.findall(pattern, read(each), re.DOTALL) for each in (page, in_english(page))]
        assert found[0] == found[1]
    assert "@@" not in read(page)
    # A page in Chinese leads to another one where there is one.
    targets = [[target for target, _ in LINK.findall(read(each)) if target] for each in (page, in_english(page))]
    assert sorted(map(in_english, targets[0])) == sorted(map(in_english, targets[1]))
    folder = (ROOT / page).parent
    beside = {target: target.replace(".md", "_CN.md") for target in targets[0][1:] if not target.endswith("_CN.md")}
    assert [target for target, other in beside.items() if target != other and (folder / other).exists()] == []


def test_the_page_of_parameters_is_what_the_default_configuration_says():
    assert PAGE.read_text(encoding="utf-8") == parameters_page(), "python tools/make_parameters_page.py writes it"


def test_the_chinese_page_of_parameters_lists_each_with_its_default():
    values, groups, _ = yaml.safe_load_all(DEFAULT_FILE.read_text(encoding="utf-8"))
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", read("docs/parameters_CN.md"), re.MULTILINE))
    keys = [key for entries in groups.values() for key in entries]
    assert list(rows) == keys
    for key in keys:
        for default in default_of(key, values):
            assert default in rows[key], key


def test_the_table_of_the_layout_names_what_exists_and_every_package():
    table = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Layout")[2]
    folder, paths = "", []
    for cell in re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE):
        for name in re.findall(r"`(.*?)`", cell):
            # A name without a folder is in that of the name before it.
            folder = name.rpartition("/")[0] if "/" in name else folder if name not in os.listdir(ROOT) else ""
            paths.append(name if "/" in name or not folder else f"{folder}/{name}")
    assert [path for path in paths if not list(ROOT.glob(path.rstrip("/")))] == []
    packages = {f"src/{path.parent.name}/" for path in ROOT.glob("src/*/__init__.py")}
    assert packages | {f"src/{path.name}" for path in ROOT.glob("src/[!_]*.py")} == {
        path for path in paths if path.startswith("src/")
    }
    assert {path.name for path in ROOT.glob("*.py")} <= set(paths)


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_link_leads_to_a_file_and_a_heading_that_exist(page):
    lost = []
    for target, anchor in LINK.findall(read(page)):
        path = (ROOT / page).parent / target if target else ROOT / page
        if not path.exists() or (anchor and anchor not in anchors(path.resolve().relative_to(ROOT).as_posix())):
            lost.append(f"{target}#{anchor}")
    assert lost == []


@pytest.mark.parametrize("page", READMES)
def test_every_page_is_linked_from_the_beginning(page):
    linked = {in_english(target) for target, _ in LINK.findall(read(page))}
    assert {in_english(each) for each in PAGES} - set(READMES) <= linked


def test_every_option_in_the_pages_exists_and_takes_its_value(monkeypatch):
    monkeypatch.chdir(ROOT)
    keys = {"--config_path", *(f"--{key}" for key in vars(parse_config([], lambda _: "CPU"))["_values"])}
    wrong, seen = [], set()
    for command, words in commands():
        seen.add(command)
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        if command in WITH_CONFIGURATION:
            parse_config(words, lambda _: "CPU")
        elif command.endswith(".py"):
            wrong += [(command, each) for each in given - documented_options(command)]
        else:  # what a script does not know itself goes to a command with a configuration
            text = read(command)
            wrong += [(command, each) for each in given - keys if not re.search(rf"{each}\b", text)]
    assert wrong == []
    assert {*WITH_CONFIGURATION, "predict.py", "tools/convert_weights.py", "scripts/run_msrun.sh"} <= seen


def check_example(code: str, run: Callable[..., str]) -> None:
    """Run the example of a MINDIR in Python; it sees an image as predict.py does."""
    name, row = run("python", "-c", f"{code}\nprint(logits[0].tolist())").splitlines()
    path = re.search(r'"(digits/.*?)"', code)[1]
    words = ["--checkpoint_path=xception.mindir", "--json", "--topk=10", path]
    (image,) = json.loads(run("python", "predict.py", *words))["images"]
    logits = np.array(json.loads(row))
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    found = [probabilities[each["class"]] for each in image["predictions"]]
    # To the last digits: after so few steps an image counts for little.
    np.testing.assert_allclose(found, [each["probability"] for each in image["predictions"]], rtol=1e-9)
    assert name == image["predictions"][0]["name"]


def save_keras_weights(path: Path) -> None:
    """Write what the page downloads, but with weights of no worth."""
    network = xception(CLASSES)
    set_weights(network)
    save_weights(path.with_suffix(".ckpt"), network)
    convert(path.with_suffix(".ckpt"), path, "--to=keras")


def test_the_commands_for_cpu_run_as_they_stand(tmp_path):
    """On a few images a class; photographs in small and for an epoch: that is all that is left out."""
    need("h5py")
    work = Path(
        shutil.copytree(
            ROOT, tmp_path / "work", ignore=shutil.ignore_patterns(".*", "__pycache__", "quickstart", "out")
        )
    )
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}

    def run(*words: str) -> str:
        result = subprocess.run(words, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (words, result.stdout, result.stderr)
        return result.stdout

    tested = {
        page.removeprefix("docs/"): "".join(code for is_tested, _, code in blocks(page) if is_tested)
        for page in PAGES
        if page not in IN_CHINESE and any(is_tested for is_tested, _, _ in blocks(page))
    }
    assert tested.keys() == {"training.md", "export.md", "own_images.md", "deploy_ascend310.md"}

    words = tested["training.md"].splitlines()
    run("bash", "-c", words[0])
    for split, count in (("train", 2), ("val", 1)):
        for folder in (work / "digits" / split).iterdir():
            for path in sorted(folder.iterdir())[count:]:
                path.unlink()
    outputs = [run("bash", "-c", command) for command in words[1:]]
    assert "finished: checkpoints and metrics are in cpu-ckpt/model_0" in outputs[0]
    assert "evaluated 10 images, each once" in outputs[1]
    assert "wrote xception.mindir" in outputs[2]
    check_example(tested["export.md"], run)

    for split in ("train", "val"):
        shutil.copytree(work / "digits" / split, work / "flowers", dirs_exist_ok=True)
    words = tested["own_images.md"].splitlines()
    save_keras_weights(work / shlex.split(words[2])[2])
    words[3] += " --image_size=71 --epoch_size=1"
    outputs = [run("bash", "-c", command) for command in words]
    assert "30 images in 10 classes: 0 bad" in outputs[0]
    held_out = len(list((work / "flowers-split" / "val").rglob("*.jpg")))
    assert f"val: {held_out} images" in outputs[1] and held_out >= 10
    assert "wrote imagenet.ckpt" in outputs[2]
    assert "finished: checkpoints and metrics are in flowers-model/model_0" in outputs[3]
    assert f"evaluated {held_out} images, each once" in outputs[4]
    assert (work / "flowers-report" / "report.html").exists()
    assert outputs[5].startswith("image ") and outputs[5].count(" %") == 3 * held_out
    assert len(list((work / "pictures").rglob("*.png"))) == held_out
    assert "wrote flowers.onnx" in outputs[6]
    assert f"evaluated {held_out} images, each once" in outputs[7]

    # The runtime is large: the one that is here already is used.
    shutil.copytree(ROOT / ".lite", work / ".lite")
    outputs = [run("bash", "-c", command) for command in tested["deploy_ascend310.md"].splitlines()]
    assert "wrote xception310.mindir" in outputs[1]
    assert "labels.txt: 10 images in 10 of the model's 10 classes" in outputs[2]
    assert "scored 10 images of 10 in the label file" in outputs[3]
