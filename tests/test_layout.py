"""The house: what lies in src/, who imports whom, how long lists and files may be."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from tests.helpers.project import ROOT

CORE = {"src.Xception", "src.loss", "src.lr_generator"}
# From the ground up: each may import what stands before it and itself, not what stands beside it.
FLOORS = (
    {"src", "src.common", *CORE},
    {"src.metadata"},
    {"src.export", "src.modelarts"},
    {"src.model_utils"},
    {"src.data", "src.checkpoints", "src.cpu", "src.launch"},
    {"src.dataset"},
    {"src.evaluation", "src.prediction"},
    {"src.training"},
    {"doors", "tools", "scripts"},
    {"tests"},
)
ON_TOP = FLOORS[-2]  # of these, a tool may use another, and a script too
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


MODULES = {module_of(path) for path in [*PYTHON, *TESTS]}


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules of the project that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield whole if whole in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def room_of(module: str) -> str:
    """Return the package of a module, the module itself where it lies in src/, "doors" for those at the top."""
    top, _, rest = module.partition(".")
    if top != "src":
        return top if top in ("tools", "scripts", "tests") else "doors"
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


def test_the_folders_of_the_tests_are_those_of_what_they_test():
    places = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()} | {"scripts", "tools", "ascend310_infer"}
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders == places - {"__pycache__"}


def test_imports_run_one_way():
    wrong = []
    for path in PYTHON:
        room = room_of(module_of(path))
        for other in {room_of(module) for module in imports_of(path) if module in MODULES}:
            if floor_of(other) >= floor_of(room) and other != room and not {room, other} <= ON_TOP:
                wrong.append(f"{module_of(path)} imports {other}")
    assert wrong == []


def test_no_module_imports_itself_by_way_of_others():
    modules = {module_of(path): path for path in PYTHON}
    TopologicalSorter(
        {module: [other for other in imports_of(path) if other in modules] for module, path in modules.items()}
    ).prepare()  # raises CycleError with the circle


def test_tests_share_by_helpers_alone():
    shared = [(module_of(path), other) for path in TESTS for other in imports_of(path) if other.startswith("tests.")]
    assert shared
    assert [pair for pair in shared if not pair[1].startswith("tests.helpers")] == []


def test_no_list_of_parameters_is_long_and_none_is_taken_by_position_past_the_fifth():
    long = [
        f"{module_of(path)}: {name} takes {len(by_position)} by position and {len(every.kwonlyargs)} by name"
        for path in [*PYTHON, *TESTS]
        for name, by_position, every in functions_of(path)
        if name not in LONG_LISTS
        and not name.startswith("test_")  # pytest fills those by name
        and (
            len(by_position) > MOST_BY_POSITION
            or (len(by_position) + len(every.kwonlyargs) > MOST_PARAMETERS and name != "create_dataset")
        )
    ]
    assert long == []


def test_no_call_passes_more_than_five_values_by_position():
    long = [
        f"{module_of(path)}, line {node.lineno}: {ast.unparse(node.func)}"
        for path in PYTHON
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and len(node.args) > MOST_BY_POSITION
    ]
    # Text is put together by place, and MindSpore's operators take their inputs so.
    assert [call for call in long if not (call.endswith(".format") or call.startswith("src.cpu."))] == []


def test_a_long_file_says_why_in_its_first_comment():
    unexplained = []
    for path in [*PYTHON, *TESTS, *OTHERS]:
        lines = path.read_text(encoding="utf-8").splitlines()
        comment = next((line for line in lines if line.startswith(("#", "//")) and not line.startswith("#!")), "")
        if len(lines) > MOST_LINES and "lines" not in comment:
            unexplained.append(f"{path.relative_to(ROOT)}: {len(lines)} lines")
    assert unexplained == []
