"""What does not fit is one line before anything is read; what has no or another effect is said."""

from __future__ import annotations

import pytest

from src.model_utils.config import ConfigError, parse_config
from src.model_utils.local_adapter import Group
from src.training.options import check_options, say_notes

RECIPE = "--batch_size=1024"


def said(capsys, *words: str, ranks: int = 1, device: str = "CPU") -> str:
    say_notes(parse_config(list(words), lambda _: device), Group(0, ranks))
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "device", "message"),
    [
        (
            ["--optimizer=adamw"],
            "CPU",
            "optimizer is adamw, but lr_max is the recipe's 0.4, .*: add --lr_max=0.001 or an",
        ),
        (
            ["--optimizer=lamb"],
            "Ascend",
            "optimizer is lamb, but lr_max is the recipe's 0.4, .*: add --lr_max=0.005 or",
        ),
        (
            ["--sync_bn=True"],
            "CPU",
            "sync_bn is true, but MindSpore .* on Ascend alone, and device_target is CPU: leave",
        ),
        (
            ["--sync_bn=True"],
            "GPU",
            "sync_bn is true, but MindSpore .* on Ascend alone, and device_target is GPU: leave",
        ),
        (
            ["--loss_scale_mode=dynamic", "--amp_level=O2", "--loss_scale=0.5"],
            "CPU",
            "loss_scale is 0.5, but a dynamic ",
        ),
        (["--show_batch=a.jpg"], "CPU", "show_batch is a.jpg, but the picture is a PNG file: let its name end in .png"),
        (["--show_batch=a.png", "--dry_run"], "CPU", "show_batch and dry_run are both given: leave one of them out"),
        (["--show_batch=x/a.png", "--train_data_dir=./x"], "CPU", "show_batch x/a.png is in train_data_dir ./x, where"),
        (
            ["--log_dir=x/y/z", "--test_data_dir=x"],
            "CPU",
            "log_dir x/y/z is in test_data_dir x, where it could be taken",
        ),
        (
            ["--auto_augment=autoaugment", "--rand_augment=9"],
            "CPU",
            "auto_augment is autoaugment and rand_augment 9: each takes .* leave one of them out$",
        ),
    ],
)
def test_what_does_not_fit_is_refused(words, device, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        check_options(parse_config(words, lambda _: device))


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (["--optimizer=adamw", "--lr_max=1", "--momentum=0.5"], "momentum has no effect on the optimizer adamw\n"),
        (["--loss_scale_mode=dynamic"], "loss_scale_mode=dynamic has no effect in float32 (amp_level O0)\n"),
        (
            ["--layer_decay=0.5", "--freeze=features"],
            "layer_decay has no effect: only the classifier is trained, at the ",
        ),
        (["--log_dir=a", "--show_batch=a.png"], "log_dir has no effect with show_batch, which writes nothing of a tr"),
        (["--enable_profiling", "--dry_run"], "enable_profiling has no effect with dry_run, which writes nothing of"),
        (["--log_dir=a", "--enable_profiling"], ""),
        (["--color_jitter=0.2", "--auto_augment=none", "--vertical_flip=0.5"], ""),
        (
            ["--color_jitter=0.2", "--auto_augment=autoaugment"],
            "color_jitter has no effect: the operations of auto_augment take its place\n",
        ),
        (
            ["--color_jitter=0.2", "--rand_augment=9"],
            "color_jitter has no effect: the operations of rand_augment take its place\n",
        ),
        (["--optimizer=nesterov", "--momentum=0.5", "--layer_decay=0.5"], ""),
        (["--loss_scale_mode=dynamic", "--amp_level=O2"], ""),
    ],
)
def test_what_has_no_effect_is_said(capsys, words, note):
    output = said(capsys, RECIPE, *words)
    assert output.startswith(note) and bool(output) == bool(note)


def test_synchronised_batch_norm_of_one_process_is_said_to_have_no_effect(capsys):
    assert (
        said(capsys, RECIPE, "--sync_bn=True", device="Ascend") == "sync_bn has no effect: one process trains alone\n"
    )
    assert said(capsys, "--sync_bn=True", ranks=8, device="Ascend") == ""


def test_the_recipe_of_eight_devices_says_nothing_of_its_learning_rate(capsys):
    for words in ([], ["--scale_lr=True"]):
        assert said(capsys, *words, ranks=8, device="Ascend") == ""


def test_another_number_of_images_a_step_is_told_with_the_proportional_rate(capsys):
    assert said(capsys, "--batch_size=32", "--gradient_accumulation=2", ranks=2) == (
        "a step has 128 images, and the recipe's learning rate is for 1,024: lr_max is 0.4, in proportion it would be "
        "0.05 (--scale_lr=True)\n"
    )
    assert said(capsys, "--batch_size=16", "--lr_max=0.006") == ""  # a rate that was chosen for this step
    assert said(capsys, "--scale_lr=True", ranks=256, device="Ascend") == (
        "a step has 32,768 images: the learning rates are multiplied by 32, lr_max becomes 12.8\n"
    )


def test_the_first_rank_alone_speaks(capsys):
    say_notes(parse_config(["--momentum=0.5"], lambda _: "CPU"), Group(1, 2))
    assert capsys.readouterr().err == ""
