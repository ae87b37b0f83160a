"""A door that a platform has started: which rank it becomes, by which variables, and when it starts ranks itself."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from src.launch import platform
from src.launch.place import Place, cluster_variables, find_place
from src.launch.platform import launcher_words, take_place
from src.model_utils.config import ConfigError
from tests.helpers.project import ROOT

DOOR = ROOT / "train.py"
NAMES = ("RANK_ID", "RANK_SIZE", "RANK_TABLE_FILE", "DEVICE_ID", "ASCEND_DEVICE_ID", "MASTER_PORT", "MS_ROLE",
         "MS_WORKER_NUM", "MS_NODE_ID", "MS_SCHED_HOST", "MS_SCHED_PORT", "MA_NUM_GPUS", "MA_NUM_HOSTS",
         "VC_TASK_INDEX", "VC_WORKER_HOSTS", "OMPI_COMM_WORLD_RANK", "ASCEND_RT_VISIBLE_DEVICES")  # fmt: skip
CLUSTER = ("MS_ROLE", "MS_WORKER_NUM", "MS_NODE_ID", "MS_SCHED_HOST", "MS_SCHED_PORT", "DEVICE_ID")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """The variables of the process, without those that matter here; what is changed is undone."""
    changed = {name: value for name, value in os.environ.items() if name not in NAMES}
    monkeypatch.setattr(os, "environ", changed)
    return changed


def each_card(rank: int, size: int = 8, **more: str) -> dict[str, str]:
    """Return the variables of a process that a platform starts for a card."""
    card = str(rank % 8)
    return {"RANK_ID": str(rank), "RANK_SIZE": str(size), "ASCEND_DEVICE_ID": card, "DEVICE_ID": card, **more}


def table(folder: Path, *servers: str) -> str:
    """Write a rank table of eight devices on each server."""
    entries = [
        {"server_id": name, "device": [
            {"device_id": str(device), "device_ip": "", "rank_id": str(8 * number + device)} for device in range(8)]}
        for number, name in enumerate(servers)
    ]  # fmt: skip
    path = folder / "table.json"
    path.write_text(json.dumps({"version": "1.0", "server_count": str(len(servers)), "server_list": entries}))
    return str(path)


def test_eight_processes_of_a_platform_join_by_the_variables_of_the_dynamic_cluster(tmp_path, monkeypatch):
    path, started = table(tmp_path, "10.0.0.1"), []
    monkeypatch.setattr(platform, "go_on_beside_scheduler", lambda: started.append(os.environ["MS_NODE_ID"]))
    for rank in range(8):
        found = each_card(rank, RANK_TABLE_FILE=path, MA_NUM_GPUS="8", MA_NUM_HOSTS="1", VC_TASK_INDEX="0")
        monkeypatch.setattr(os, "environ", found)
        argv = take_place(DOOR, ["--is_distributed=True", "--enable_modelarts=True"])
        assert argv == ["--enable_modelarts=True", f"--device_id={rank}", "--is_distributed=True"]
        assert [found[name] for name in CLUSTER] == ["MS_WORKER", "8", str(rank), "127.0.0.1", "8118", str(rank)]
        assert "RANK_TABLE_FILE" not in found
    assert started == ["0"]


def test_processes_of_several_servers_meet_at_the_first_and_one_there_has_the_scheduler():
    hosts = {"VC_WORKER_HOSTS": "127.0.0.1,10.0.0.2", "MASTER_PORT": "9000"}
    # The second server's ranks come first, as a platform may number them for its network.
    places = [find_place(each_card(rank, 16, VC_TASK_INDEX=str(1 - rank // 8), **hosts)) for rank in range(16)]
    assert {place.host for place in places} == {"127.0.0.1"}
    assert [place.rank for place in places if place.has_scheduler] == [8]
    assert [place.device for place in places] == [*range(8), *range(8)]
    assert cluster_variables(places[9], hosts)["MS_SCHED_PORT"] == "9000"


def test_a_rank_table_names_the_server_of_rank_0(tmp_path):
    path = table(tmp_path, "127.0.0.1", "127.0.0.2")
    assert find_place(each_card(9, 16, RANK_TABLE_FILE=path)) == Place(9, 16, 1, "127.0.0.1", has_scheduler=False)
    assert find_place(each_card(0, 16, RANK_TABLE_FILE=path)).has_scheduler
    with pytest.raises(ConfigError, match=r"RANK_SIZE is 8, but rank table .*table\.json has 16 devices"):
        find_place(each_card(0, 8, RANK_TABLE_FILE=path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK_ID": "8"}, "RANK_ID is 8, but RANK_SIZE is 8"),
        ({"RANK_ID": "x"}, "the variable RANK_ID must be a number from 0 on: x"),
        ({"RANK_SIZE": "0"}, "the variable RANK_SIZE must be a number from 1 on: 0"),
        ({"VC_WORKER_HOSTS": "a,b,c", "VC_TASK_INDEX": "0"}, "RANK_SIZE is 8, but VC_WORKER_HOSTS names 3 servers"),
        ({"VC_WORKER_HOSTS": "a,b"}, "the variable VC_TASK_INDEX must be a number from 0 on: it is not set"),
        ({"VC_WORKER_HOSTS": "nobody.invalid,b", "VC_TASK_INDEX": "0"}, "the address of nobody.invalid"),
    ],
)
def test_variables_that_contradict_each_other_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        find_place(each_card(0) | changes)


def test_a_rank_without_a_device_is_told():
    with pytest.raises(ConfigError, match="neither ASCEND_DEVICE_ID nor DEVICE_ID names its device"):
        find_place({"RANK_ID": "0", "RANK_SIZE": "2"})


def test_one_process_on_a_server_becomes_the_launcher_of_its_ranks(environment, monkeypatch):
    environment |= {"MA_NUM_GPUS": "8", "MA_NUM_HOSTS": "1", "VC_TASK_INDEX": "0", "VC_WORKER_HOSTS": "job-worker-0"}
    calls = []
    monkeypatch.setattr(os, "execv", lambda path, words: calls.append((path, words)))
    take_place(DOOR, ["--is_distributed", "True", "--device_target=Ascend", "--epoch_size=3"])
    [(path, words)] = calls
    assert (path, words) == (sys.executable, [
        sys.executable, str(ROOT / "scripts/launch.py"), f"--python={sys.executable}", "--door=train.py",
        "--log=train_parallel{rank}/log.txt", "--follow", "--device_target=Ascend", "--device_num=8", "--",
        "--device_target=Ascend", "--epoch_size=3",
    ])  # fmt: skip


def test_one_process_on_each_of_two_servers_starts_the_ranks_of_its_own():
    variables = {"MA_NUM_GPUS": "8", "MA_NUM_HOSTS": "2", "VC_TASK_INDEX": "1", "VC_WORKER_HOSTS": "w-0.job,w-1.job"}
    words = launcher_words(DOOR, [], "Ascend", variables | {"MASTER_PORT": "9000"})
    places = ["--device_num=8", "--node_num=2", "--node_rank=1", "--master_addr=w-0.job", "--master_port=9000", "--"]
    assert words[-6:] == places
    for changes, message in (
        ({"VC_WORKER_HOSTS": "w-0.job"}, "MA_NUM_HOSTS is 2, but VC_WORKER_HOSTS is w-0.job"),
        ({"VC_TASK_INDEX": "2"}, "VC_TASK_INDEX is 2, but MA_NUM_HOSTS is 2"),
        ({"MA_NUM_GPUS": "0"}, "the variable MA_NUM_GPUS must be a number from 1 on: 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            launcher_words(DOOR, [], "Ascend", variables | changes)


@pytest.mark.parametrize("variables", [each_card(0, 1), {"MA_NUM_GPUS": "1", "MA_NUM_HOSTS": "1"}])
def test_a_job_of_one_card_is_not_distributed(environment, variables):
    environment |= variables
    assert take_place(DOOR, ["--is_distributed=True"])[-1] == "--is_distributed=False"
    assert "MS_ROLE" not in environment


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"RANK_ID": "0", "MA_NUM_GPUS": "8"},
        each_card(1, MS_ROLE="MS_WORKER"),
        each_card(1, OMPI_COMM_WORLD_RANK="1"),
    ],
)
def test_what_a_launcher_or_a_person_has_started_goes_on_unchanged(environment, variables):
    environment |= variables
    before = dict(environment)
    argv = ["--is_distributed=True"]
    assert take_place(DOOR, argv) is argv and environment == before


def test_a_process_for_each_card_that_is_to_work_alone_says_so(environment, capsys):
    environment |= each_card(3)
    assert take_place(DOOR, ["--seed=1"]) == ["--seed=1"]
    assert capsys.readouterr().err == "note: RANK_SIZE is 8, but is_distributed is false: this process works alone\n"


def words_of(monkeypatch, argv: list[str]) -> list[str]:
    """Return the call that a process for each server becomes."""
    calls = []
    monkeypatch.setattr(os, "execv", lambda path, words: calls.append(words))
    take_place(DOOR, argv)
    return calls[0]


@pytest.mark.parametrize(
    ("options", "device"), [([], "auto"), (["--device_target=GPU"], "GPU"), (["--device_target=auto"], "auto")]
)
def test_the_ranks_of_a_server_choose_the_device_that_was_asked_for(environment, monkeypatch, options, device):
    environment |= {"MA_NUM_GPUS": "8", "MA_NUM_HOSTS": "1"}
    words = words_of(monkeypatch, ["--is_distributed=True", *options])
    assert words[words.index("--") - 2] == f"--device_target={device}"


def test_a_variable_that_is_empty_is_not_set(environment, monkeypatch):
    started = []
    monkeypatch.setattr(platform, "go_on_beside_scheduler", lambda: started.append(True))
    empty = dict.fromkeys(("MASTER_PORT", "RANK_TABLE_FILE", "MA_NUM_HOSTS", "VC_TASK_INDEX", "MS_ROLE"), "")
    environment |= {"RANK_ID": "1", "RANK_SIZE": "2", "ASCEND_DEVICE_ID": "", "DEVICE_ID": "1", **empty}
    assert take_place(DOOR, ["--is_distributed=True"]) == ["--device_id=1", "--is_distributed=True"]
    assert environment["MS_SCHED_PORT"] == "8118"
    environment |= {"RANK_ID": "", "RANK_SIZE": "", "MA_NUM_GPUS": "2", "MS_ROLE": ""}
    assert "--device_num=2" in words_of(monkeypatch, ["--is_distributed=True"])


def test_a_port_that_is_none_is_refused():
    for value in ("65536", "x"):
        with pytest.raises(ConfigError, match=f"the variable MASTER_PORT must be a number from 0 to 65535: {value}"):
            cluster_variables(Place(0, 2, 0, "127.0.0.1", has_scheduler=True), {"MASTER_PORT": value})


@pytest.mark.parametrize(
    ("visible", "card", "device"), [("6,7", "7", "1"), ("6,7", "1", "1"), ("7", "7", "0"), ("0,1", "1", "1")]
)
def test_a_card_counts_within_what_its_process_sees(environment, visible, card, device):
    environment |= {"RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": card, "ASCEND_RT_VISIBLE_DEVICES": visible}
    argv = take_place(DOOR, ["--is_distributed=True", "--device_target=Ascend"])
    assert argv == ["--device_target=Ascend", f"--device_id={device}", "--is_distributed=True"]
    assert environment["DEVICE_ID"] == device


def test_a_card_that_its_process_does_not_see_is_refused(environment):
    environment |= {"RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": "5", "ASCEND_RT_VISIBLE_DEVICES": "6,7"}
    with pytest.raises(ConfigError, match="ASCEND_RT_VISIBLE_DEVICES=6,7 shows 2 Ascend devices"):
        take_place(DOOR, ["--is_distributed=True"])


def test_a_rank_table_of_another_form_is_not_needed_on_a_single_server(tmp_path):
    path = tmp_path / "jobstart_hccl.json"
    path.write_text('{"status": "completed", "group_count": "1", "group_list": []}')
    own = {"RANK_TABLE_FILE": str(path)}
    for hosts in ({"VC_WORKER_HOSTS": "job-worker-0"}, {"MA_NUM_HOSTS": "1"}):
        assert find_place(each_card(3, **own, **hosts)) == Place(3, 8, 3, "127.0.0.1", has_scheduler=False)
    with pytest.raises(ConfigError, match=r"it has group_list, as before version 1\.0: write it by today's"):
        find_place(each_card(3, **own))


def test_what_the_reading_for_the_place_notes_is_left_to_the_door(environment, capsys):
    environment |= {"RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": "1"}
    take_place(DOOR, ["--is_distributed=True", "--class_num=3"])
    assert capsys.readouterr().err == ""
