"""Rank tables: what is accepted, and how the entry that is wrong is named."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.launch.rank_table import find_own_server, read_rank_table
from src.model_utils.config import ConfigError
from tests.helpers.project import ROOT

# As hccl_tools writes it for four devices of one server.
ONE_SERVER = {
    "version": "1.0",
    "server_count": "1",
    "server_list": [
        {
            "server_id": "10.155.111.140",
            "device": [
                {"device_id": str(4 + rank), "device_ip": f"192.{rank + 1}.27.6", "rank_id": str(rank)}
                for rank in range(4)
            ],
            "host_nic_ip": "reserve",
        }
    ],
    "status": "completed",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def write(folder, content):
    path = folder / "table.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tables")


@st.composite
def tables(draw):
    """A valid table: some devices of some servers, these and those in any order, numbers as text or not."""
    counts = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    ranks: dict[int, list[int]] = {}
    for index in draw(st.permutations(range(len(counts)))):
        first = sum(map(len, ranks.values()))
        ranks[index] = draw(st.permutations(range(first, first + counts[index])))
    servers = []
    for index, count in enumerate(counts):
        ids = draw(st.lists(st.integers(0, 15), min_size=count, max_size=count, unique=True))
        devices = []
        for device_id, rank in zip(ids, ranks[index], strict=True):
            number = draw(st.sampled_from([str, int]))
            address = draw(st.just("") | st.ip_addresses().map(str))
            devices.append({"device_id": number(device_id), "device_ip": address, "rank_id": number(rank)})
        servers.append({"server_id": f"10.0.0.{index}", "device": devices})
    return {"version": "1.0", "server_count": str(len(counts)), "server_list": servers}


@given(content=tables())
def test_a_valid_table_gives_every_device_once_in_the_order_of_ranks(folder, content):
    table = read_rank_table(write(folder, content))
    expected = {
        int(device["rank_id"]): (server["server_id"], int(device["device_id"]))
        for server in content["server_list"]
        for device in server["device"]
    }
    found = {device.rank: (server.server_id, device.device_id) for server in table.servers for device in server.devices}
    assert found == expected
    assert table.size == len(expected)
    assert all(
        [device.rank for device in server.devices] == sorted(device.rank for device in server.devices)
        for server in table.servers
    )
    firsts = [server.devices[0].rank for server in table.servers]
    assert firsts == sorted(firsts)


@given(content=JSON)
def test_any_other_json_is_one_line_that_names_the_file(folder, content):
    path = write(folder, content)
    with pytest.raises(ConfigError) as error:
        read_rank_table(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@given(content=tables(), data=st.data(), value=JSON)
def test_any_value_in_the_place_of_another_is_accepted_or_one_line(folder, content, data, value):
    server = data.draw(st.sampled_from(content["server_list"]))
    place = data.draw(st.sampled_from([content, server, data.draw(st.sampled_from(server["device"]))]))
    place[data.draw(st.sampled_from(sorted(place)))] = value
    path = write(folder, content)
    try:
        table = read_rank_table(path)
    except ConfigError as error:
        assert str(path) in str(error)
        assert "\n" not in str(error)
    else:
        ranks = sorted(device.rank for server in table.servers for device in server.devices)
        assert ranks == list(range(table.size))


def changed(change):
    table = copy.deepcopy(ONE_SERVER)
    change(table, table["server_list"][0], table["server_list"][0]["device"])
    return table


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table, server, devices: table.update(version="1.2"), 'version must be "1.0", not "1.2"'),
        (lambda table, server, devices: table.update(status="initializing"), 'status must be "completed"'),
        (lambda table, server, devices: table.update(server_count="2"), "server_count is 2, but server_list holds 1"),
        (lambda table, server, devices: table.pop("server_count"), "the table: server_count must be a number"),
        (lambda table, server, devices: table.update(server_list={}), "server_list must be a list of servers, not {}"),
        (lambda table, server, devices: server.pop("server_id"), "server_list[0]: server_id must be a text"),
        (
            lambda table, server, devices: server.pop("device"),
            'server_list[0] ("10.155.111.140"): device must be a list of devices, not missing',
        ),
        (
            lambda table, server, devices: devices[2].update(device_id="two"),
            'server_list[0] ("10.155.111.140"), device[2]: device_id must be a number from 0, not "two"',
        ),
        (lambda table, server, devices: devices[3].update(rank_id=-1), "device[3]: rank_id must be a number from 0"),
        (lambda table, server, devices: devices[1].update(device_id="4"), "device_id 4 is there twice"),
        (lambda table, server, devices: devices[1].update(rank_id="2"), "rank_id 1 is missing: the ids must run from"),
        (lambda table, server, devices: devices[1].update(rank_id="0"), "rank_id 0 is there twice"),
        (lambda table, server, devices: devices[3].update(rank_id="4"), "rank_id 3 is missing"),
        (lambda table, server, devices: devices[0].update(device_ip="192.1.27"), 'device_ip "192.1.27" is no IP'),
        (lambda table, server, devices: devices[0].pop("device_ip"), "device_ip must be an IP address or empty"),
        (
            lambda table, server, devices: table.update(server_count=2, server_list=[server, server]),
            'server_list[1]: server_id "10.155.111.140" is there twice',
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, message):
    path = write(tmp_path, changed(change))
    with pytest.raises(ConfigError) as error:
        read_rank_table(path)
    assert str(error.value).startswith(f"rank table {path}: ")
    assert message in str(error.value)


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000, '{"version": "1.0"'])
def test_a_file_that_is_no_json_is_named(tmp_path, content):
    path = write(tmp_path, content)
    with pytest.raises(ConfigError, match="is not JSON") as error:
        read_rank_table(path)
    assert str(path) in str(error.value)


@given(content=tables(), data=st.data())
def test_ranks_of_a_server_with_others_between_them_are_refused(folder, content, data):
    devices = [device for server in content["server_list"] for device in server["device"]]
    ranks = data.draw(st.permutations([device["rank_id"] for device in devices]))
    for device, rank in zip(devices, ranks, strict=True):
        device["rank_id"] = rank
    each = [sorted(int(device["rank_id"]) for device in server["device"]) for server in content["server_list"]]
    path = write(folder, content)
    if all(found == list(range(found[0], found[0] + len(found))) for found in each):
        assert read_rank_table(path).size == len(devices)
    else:
        with pytest.raises(ConfigError, match=r"another server between them: number the devices server by server$"):
            read_rank_table(path)


@pytest.mark.parametrize("place", ["rank_id", "device_id", "device_ip", "server_id", "server_count", "other"])
def test_a_number_of_thousands_of_digits_is_one_line(tmp_path, place):
    text = json.dumps({**ONE_SERVER, "other": 0})
    value = {"rank_id": '"0"', "device_id": '"4"', "device_ip": '"192.1.27.6"', "server_id": '"10.155.111.140"'}
    old = f'"{place}": {value.get(place) or json.dumps({**ONE_SERVER, "other": 0}[place])}'
    assert old in text
    path = write(tmp_path, text.replace(old, f'"{place}": {"9" * 5000}', 1))
    with pytest.raises(ConfigError, match=r"table\.json: it holds a number with too many digits$"):
        read_rank_table(path)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[2J", "\ud800"])
def test_a_server_name_that_no_terminal_should_see_is_refused(tmp_path, name):
    table = copy.deepcopy(ONE_SERVER)
    table["server_list"][0]["server_id"] = name
    with pytest.raises(ConfigError, match=r"server_id must be a text, not") as error:
        read_rank_table(write(tmp_path, table))
    assert str(error.value).isprintable()


def test_a_binary_file_is_named(tmp_path):
    (tmp_path / "table.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"table\.json is not JSON"):
        read_rank_table(tmp_path / "table.json")


def two_servers(tmp_path, first, second):
    servers = [
        {"server_id": name, "device": [{"device_id": "0", "device_ip": "", "rank_id": str(rank)}]}
        for rank, name in enumerate((first, second))
    ]
    return read_rank_table(write(tmp_path, {"version": "1.0", "server_count": 2, "server_list": servers}))


def test_the_own_server_is_the_only_one_the_named_one_or_the_one_with_an_address_of_this_machine(tmp_path):
    assert find_own_server(read_rank_table(write(tmp_path, ONE_SERVER)), {}) == 0
    table = two_servers(tmp_path, "192.0.2.7", "127.0.0.1")  # the first is reserved for documentation
    assert find_own_server(table, {}) == 1
    assert find_own_server(table, {"SERVER_ID": "192.0.2.7"}) == 0


def test_a_machine_that_is_in_no_entry_is_told_how_to_name_it(tmp_path):
    table = two_servers(tmp_path, "192.0.2.7", "node-b")
    with pytest.raises(ConfigError, match=r"servers 192\.0\.2\.7, node-b, but none of these .* SERVER_ID="):
        find_own_server(table, {})
    with pytest.raises(ConfigError, match="but SERVER_ID is node-c"):
        find_own_server(table, {"SERVER_ID": "node-c"})


def test_the_command_checks_a_table(tmp_path):
    def check(path):
        command = [sys.executable, "-m", "src.launch.rank_table", path]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    path = write(tmp_path, ONE_SERVER)
    good = check(path)
    bad = check(write(tmp_path, {}))
    assert (good.returncode, good.stdout, good.stderr) == (0, f"{path}: servers 1, devices 4\n", "")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert 'version must be "1.0", not missing' in bad.stderr
