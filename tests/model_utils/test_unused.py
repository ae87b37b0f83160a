"""An option that a command takes and makes no use of is told, where a person could expect an effect."""

from __future__ import annotations

import pytest

import eval as evaluate
import eval_onnx
import export
import train
from src.model_utils.config import ConfigError, parse_config
from src.model_utils.unused import _ELSEWHERE, say_unused

DOORS = {
    "train.py": (train, "run_train", []),
    "eval.py": (evaluate, "run_eval", ["--checkpoint_path=x.ckpt"]),
    "eval_onnx.py": (eval_onnx, "use_device", ["--onnx_path=x.onnx"]),
    "export.py": (export, "run_export", ["--ckpt_file=x"]),
}


@pytest.mark.parametrize("command", DOORS)
def test_every_such_option_is_told_before_work_begins(command, monkeypatch, capsys):
    door, work, needed = DOORS[command]

    def begin(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(door, work, begin)
    values = {"amp_level": "O0", "eval_engine": "onnx", "resume": "auto", "validation_split": "0.1"}
    values |= dict.fromkeys(("crop_min_area", "flip_probability", "vertical_flip", "color_jitter", "mixup"), "0.5")
    values |= dict.fromkeys(("cutmix", "random_erasing", "dropout_rate"), "0.5")
    values |= {"auto_augment": "none", "rand_augment": "1", "rand_augment_layers": "1"}
    values |= {"enable_modelarts": "True", "use_average": "False", "dry_run": "True"}
    words = [f"--{name}={values.get(name, 'x')}" for name in _ELSEWHERE[command]]
    with pytest.raises(KeyboardInterrupt):
        door.main([*needed, "--device_target=CPU", *words])
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        f"--{name} has no effect on {command}" for name in _ELSEWHERE[command]
    ]


def test_all_of_them_are_options():
    for name in set().union(*_ELSEWHERE.values()):
        with pytest.raises(ConfigError, match=r"^(?!unknown option)"):
            parse_config([f"--{name}=-1", "--device_target=none"], lambda _: "CPU")


def test_options_with_an_effect_and_values_are_not_told(capsys):
    say_unused("export.py", ["--ckpt_file", "class_map", "--file_name=--class_map"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("engine", "is_told"), [("openvino", False), ("auto", True)])
def test_the_precision_of_an_onnx_file_has_an_effect_on_openvino_alone(engine, is_told, monkeypatch, capsys):
    def begin(*_, **__) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(eval_onnx, "use_device", begin)
    monkeypatch.setattr(eval_onnx, "check_engine", lambda _: None)
    words = ["--onnx_path=x.onnx", "--device_target=CPU", "--amp_level=O2", f"--eval_engine={engine}"]
    with pytest.raises(KeyboardInterrupt):
        eval_onnx.main(words)
    assert ("--amp_level has no effect" in capsys.readouterr().err) is is_told
