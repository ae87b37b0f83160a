"""Variables that hide devices: read as the driver reads them, or refused."""

from __future__ import annotations

import pytest

from src.launch.visible_devices import choose_devices, visible_devices
from src.model_utils.config import ConfigError

ASCEND, CUDA = "ASCEND_RT_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"


@pytest.mark.parametrize(
    ("device", "variable", "value", "names"),
    [
        ("Ascend", ASCEND, "6,7", ("6", "7")),
        ("Ascend", ASCEND, "0", ("0",)),
        ("GPU", CUDA, "7,6", ("7", "6")),
        ("GPU", CUDA, "0, 2,-1,1", ("0", "2")),
        ("GPU", CUDA, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6,MIG-8932f937/1/0",
         ("GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", "MIG-8932f937/1/0")),
    ],
)  # fmt: skip
def test_devices_have_the_order_of_the_variable(device, variable, value, names):
    assert visible_devices(device, {variable: value}).names == names


@pytest.mark.parametrize(
    ("device", "variable", "value", "message"),
    [
        ("Ascend", ASCEND, "6-7", "is not what the driver reads"),
        ("Ascend", ASCEND, "6, 7", "is not what the driver reads"),
        ("Ascend", ASCEND, "7,6", "in rising order"),
        ("Ascend", ASCEND, "6,6", "names a device twice"),
        ("Ascend", ASCEND, "", "hides every Ascend device"),
        ("GPU", CUDA, "6-7", "it stops at 6-7"),
        ("GPU", CUDA, "0,,1", "it stops at nothing between two commas"),
        ("GPU", CUDA, "1,1", "names a device twice"),
        ("GPU", CUDA, "", "hides every GPU device"),
        ("GPU", CUDA, "-1", "hides every GPU device"),
    ],
)
def test_what_the_driver_would_read_otherwise_is_refused(device, variable, value, message):
    with pytest.raises(ConfigError, match=message) as error:
        choose_devices(device, [0], {variable: value})
    assert str(error.value).startswith(f"{variable}={value} ")


def test_a_variable_of_another_kind_of_device_says_nothing():
    assert visible_devices("GPU", {ASCEND: "6"}) is None
    assert choose_devices("CPU", [0, 1], {ASCEND: "6", CUDA: ""}) == (0, 1)
    assert choose_devices("auto", [0], {CUDA: ""}) == (0,)


def test_numbers_of_the_machine_count_only_where_they_may():
    environment = {ASCEND: "4,5,6"}
    assert choose_devices("Ascend", [1, 2], environment, by_number=True) == (1, 2)
    assert choose_devices("Ascend", [4, 6], environment, by_number=True) == (0, 2)
    for by_number, wanted in ((False, [4, 6]), (True, [1, 4]), (True, [7])):
        with pytest.raises(ConfigError, match="shows 3 Ascend devices"):
            choose_devices("Ascend", wanted, environment, by_number)
