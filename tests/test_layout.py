"""The house: what lies in src/, who imports whom, how long lists and files may be, and what does without MindSpore."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.helpers.project import ROOT

CORE = {"src.Xception", "src.loss", "src.lr_generator"}
# From the ground up: each may import what stands before it and itself, not what stands beside it.
FLOORS = (
    {"src", "src.common", *CORE},
    {"src.export", "src.modelarts"},
    {"src.model_utils"},
    {"src.data", "src.checkpoints", "src.cpu", "src.launch"},
    {"src.dataset"},
    {"src.evaluation", "src.prediction"},
    {"src.training"},
    {"doors", "tools", "scripts"},
)
# What the model zoo or MindSpore asks for: get_lr is called by position, the others by MindSpore.
LONG_LISTS = {"get_lr", "construct", "bprop"}
MOST_PARAMETERS, MOST_BY_POSITION, MOST_LINES = 7, 5, 250
PYTHON = sorted(
    path
    for folder, pattern in ((".", "*.py"), ("src", "**/*.py"), ("tools", "**/*.py"), ("scripts", "**/*.py"))
    for path in (ROOT / folder).glob(pattern)
)
TESTS = sorted((ROOT / "tests").glob("**/*.py"))
OTHERS = sorted(
    path
    for folder, pattern in (("src", "**/*.cc"), ("src", "**/*.h"), ("scripts", "**/*.sh"))
    for path in (ROOT / folder).glob(pattern)
) + sorted(path for path in (ROOT / "ascend310_infer").glob("*/*") if path.suffix in (".cc", ".h"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules of the project that a file imports, anywhere in it."""
    modules = {module_of(other) for other in PYTHON}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in modules else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def room_of(module: str) -> str:
    """Return the package of a module, the module itself where it lies in src/, "doors" for those at the top."""
    top, _, rest = module.partition(".")
    if top != "src":
        return top if top in ("tools", "scripts") else "doors"
    return f"src.{rest.partition('.')[0]}".removesuffix(".")


def floor_of(room: str) -> int:
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def functions_of(path: Path) -> Iterator[tuple[str, list[ast.arg], ast.arguments]]:
    """Yield name, parameters by position without self or cls, and all parameters of every function of a file."""
    for owner in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        for node in ast.iter_child_nodes(owner):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                by_position = [*node.args.posonlyargs, *node.args.args]
                if isinstance(owner, ast.ClassDef) and by_position and by_position[0].arg in ("self", "cls"):
                    by_position = by_position[1:]
                yield node.name, by_position, node.args


def test_src_holds_the_core_and_packages_and_nothing_else():
    names = {path.name for path in (ROOT / "src").iterdir() if path.name != "__pycache__"}
    rooms = [room for floor in FLOORS for room in floor]
    packages = {room[4:] for room in rooms if room.startswith("src.") and (ROOT / room.replace(".", "/")).is_dir()}
    core = {"Xception.py", "loss.py", "lr_generator.py", "dataset.py"}
    assert names == core | packages | {"__init__.py"}
    zoo = {"config.py", "device_adapter.py", "local_adapter.py", "moxing_adapter.py"}
    assert zoo <= {path.name for path in (ROOT / "src" / "model_utils").iterdir()}


@pytest.mark.parametrize("path", PYTHON, ids=module_of)
def test_imports_run_one_way(path):
    room = room_of(module_of(path))
    others = {room_of(module) for module in imports_of(path) if module.split(".")[0] in ("src", "tools", "scripts")}
    wrong = {other for other in others - {room} if floor_of(other) >= floor_of(room)}
    if room in FLOORS[-1]:
        wrong -= FLOORS[-1]  # a tool may use another, and a script too
    assert not wrong, f"{module_of(path)} may not import {', '.join(sorted(wrong))}"


def test_no_module_imports_itself_by_way_of_others():
    modules = {module_of(path): path for path in PYTHON}
    TopologicalSorter(
        {module: [other for other in imports_of(path) if other in modules] for module, path in modules.items()}
    ).prepare()  # raises CycleError with the circle


@pytest.mark.parametrize("path", TESTS, ids=module_of)
def test_tests_share_by_helpers_alone(path):
    shared = [module for module in imports_of(path) if module.startswith("tests.")]
    assert [module for module in shared if not module.startswith("tests.helpers")] == []


@pytest.mark.parametrize("path", [*PYTHON, *TESTS], ids=module_of)
def test_no_list_of_parameters_is_long_and_none_is_taken_by_position_past_the_fifth(path):
    long = {
        f"{name}: {len(by_position)} by position, {len(by_position) + len(every.kwonlyargs)} in all"
        for name, by_position, every in functions_of(path)
        if name not in LONG_LISTS
        and not name.startswith("test_")  # pytest fills those by name
        and (
            len(by_position) > MOST_BY_POSITION
            or (len(by_position) + len(every.kwonlyargs) > MOST_PARAMETERS and name != "create_dataset")
        )
    }
    assert not long


@pytest.mark.parametrize("path", PYTHON, ids=module_of)
def test_no_call_passes_more_than_five_values_by_position(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    long = {f"line {call.lineno}: {ast.unparse(call.func)}" for call in calls if len(call.args) > MOST_BY_POSITION}
    # Text is put together by place, and MindSpore's operators take their inputs so.
    assert {name for name in long if not name.endswith(".format")} == set() or path.parent.name == "cpu"


@pytest.mark.parametrize("path", [*PYTHON, *TESTS, *OTHERS], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_long_file_says_why_in_its_first_comment(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > MOST_LINES:
        comment = next((line for line in lines if line.startswith(("#", "//")) and not line.startswith("#!")), "")
        assert "lines" in comment, f"{len(lines)} lines"


@pytest.mark.parametrize(
    "words",
    [
        *([f"{name}.py", "--help"] for name in ("train", "eval", "eval_onnx", "export", "predict", "postprocess")),
        ["scripts/launch.py", "--help"],
        ["scripts/cuda_environment.py", "--help"],
        *(
            [f"tools/{path.name}", "--help"]
            for path in sorted((ROOT / "tools").glob("*.py"))
            if path.stem != "__init__"
        ),
    ],
    ids=lambda words: words[0],
)
def test_help_comes_without_mindspore(words, tmp_path):
    code = (
        "import runpy, sys\n"
        "sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: status = end.code\n"
        "sys.exit(status or 'mindspore' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(ROOT / words[0]), *words[1:]]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert result.returncode == 0, result.stderr
    assert "usage: " in result.stdout
