"""The model of runs on many cards: its arithmetic by hand, and what must hold for any assumptions."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.project import ROOT
from tools.scale_model import Assumptions, Forecast

# 100 MB of gradients over links that give 20 GB/s; a step of half a second.
ROUND = Assumptions(
    card_speed=256, batch_size=128, host_link=25, network=12.5, parameters=25_000_000, images=40_960, epochs=36
)


def run_tool(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "tools" / "scale_model.py", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_host_of_eight_by_hand():
    run = Forecast(ROUND, 8)
    assert run.ring_bytes == 175e6  # 2 x 7/8 x 100 MB
    assert run.all_reduce_seconds() == pytest.approx(0.00875 + 14e-5)
    assert run.step_seconds(overlap=False) == pytest.approx(0.50889)
    assert run.step_seconds(overlap=True) == pytest.approx(0.5 + 0.3 * 0.00889)
    assert run.steps == 40
    assert run.epoch_seconds(overlap=False) == pytest.approx(40 * 0.50889 + 0.43)
    assert run.efficiency(overlap=False) == pytest.approx(20 / (40 * 0.50889 + 0.43))
    assert run.hours(overlap=False) == pytest.approx((40 * 0.50889 + 0.43) / 100)
    assert run.images_per_second_of_host == 2048


def test_several_hosts_are_as_fast_as_their_network():
    run = Forecast(ROUND, 16)
    assert run.hosts == 2
    assert run.all_reduce_seconds() == pytest.approx(0.01875 + 30e-5)  # 187.5 MB at 10 GB/s, 30 hops


def test_overlap_hides_no_more_than_the_backward_pass_lasts():
    slow = Forecast(Assumptions(card_speed=256, network=0.125), 256)
    assert slow.step_seconds(overlap=True) == pytest.approx(0.5 + slow.all_reduce_seconds() - 0.67 * 0.5)


def test_a_pipeline_that_is_too_slow_is_what_a_step_waits_for():
    run = Forecast(Assumptions(card_speed=256, host_cores=16, core_speed=64), 8)  # 1024 images a step, 1024 a second
    assert run.compute_seconds == 1


def test_the_steps_of_an_epoch_are_those_of_the_published_log():
    assert [Forecast(Assumptions(), count).steps for count in (8, 256)] == [1251, 39]


@given(
    st.builds(
        Assumptions,
        card_speed=st.floats(1, 1e4),
        network=st.floats(0.1, 100),
        core_speed=st.floats(1, 1e4),
        last_share=st.floats(0.01, 1),
    ),
    st.integers(1, 4096),
)
def test_no_run_is_faster_than_its_cards_and_overlap_never_hurts(assumptions, cards):
    run = Forecast(assumptions, cards)
    assert 0 < run.efficiency(overlap=False) <= run.efficiency(overlap=True) <= 1


def test_the_command_prints_a_column_for_each_number_of_cards():
    result = run_tool("--cards", "1", "8", "--core_speed=300")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["1", "card", "8", "cards"]
    assert {line[:30].strip(): line[30:].split() for line in lines}["cores of a host for it"] == ["0.9", "7.1"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--card_speed=0"], "--card_speed must be above 0: 0.0"),
        (["--cards", "0"], "--cards must be above 0: 0"),
        (["--hop=nan"], "--hop must be above 0: nan"),
        (["--link_use=80"], "--link_use is a share, at most 1: 80.0"),
        (["--images=1000"], "--images=1000 are less than a step of 256 cards"),
    ],
)
def test_a_wrong_assumption_is_named(words, message):
    result = run_tool(*words)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"error: {message}\n")
