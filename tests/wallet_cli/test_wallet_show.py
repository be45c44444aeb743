"""`chancery wallet show` and `diff`: every form of a wallet is explained, every typical mistake is named."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from attestation.roots import AMAZON
from evm.address import Address, checksum
from evm.errors import EvmError
from evm.wallet.configuration_json import configuration_to_json, service_configuration_to_json
from evm.wallet.default_wallet import DEFAULT_GUARD, Module, default_configuration
from evm.wallet.document import parse_document
from evm.wallet.faults import explain_fault
from evm.wallet.recovery.service_json import tree_to_service as recovery_to_service
from evm.wallet.recovery.tree import RecoveryLeaf, flat
from evm.wallet.recovery.tree_encoding import tree_to_json as recovery_to_json
from evm.wallet.sessions.configuration import add, image_hash, new_tree
from evm.wallet.sessions.permission import ParameterOperation, ParameterRule, Permission, SessionPermissions
from evm.wallet.sessions.service_json import tree_to_service as sessions_to_service
from evm.wallet.sessions.session_json import tree_to_json as sessions_to_json
from evm.wallet.topology import SignerLeaf
from host_proxy.cli import build_app
from tests.vectors import FOLDER

LOGIN, DEVICE, KEY, TOKEN = (Address(bytes([n]) * 20) for n in (0x11, 0x22, 0x33, 0x44))
SESSIONS_MODULE = Address(bytes.fromhex("00000000000030bcc832f7d657f50d6be35c92b3"))
RECOVERY_MODULE = Address(bytes.fromhex("000000000000ab36d17eb1150116371520565205"))
SELECTOR = ParameterRule(ParameterOperation.EQUAL, 0xA9059CBB << 224, 0, 0xFFFFFFFF << 224)
AMOUNT = ParameterRule(ParameterOperation.LESS_THAN_OR_EQUAL, 500, 36, cumulative=True)
SESSION = SessionPermissions(KEY, 1, 10**15, 2_000_000_000, (Permission(TOKEN, (SELECTOR, AMOUNT)),))
OTHER = SessionPermissions(LOGIN, 0, 0, 2_000_000_000, (Permission(TOKEN),))
TREE = add(new_tree([LOGIN, DEVICE]), SESSION)
RECOVERY = flat([RecoveryLeaf(DEVICE, 30 * 86_400), RecoveryLeaf(LOGIN, 90 * 86_400)])


def configuration(sessions: Any = TREE, recovery: Any = RECOVERY, checkpoint: int = 0) -> Any:
    return default_configuration(
        [SignerLeaf(LOGIN, 1)],
        [SignerLeaf(DEVICE, 1)],
        guard=DEFAULT_GUARD,
        sessions=Module(SESSIONS_MODULE, image_hash(sessions)),
        recovery=Module(RECOVERY_MODULE, recovery.hash),
        checkpoint=checkpoint,
    )


def answer(sessions: Any = TREE, recovery: Any = RECOVERY, **changes: Any) -> dict[str, Any]:
    return {
        "configuration": configuration_to_json(configuration(sessions, recovery)),
        "sessions": sessions_to_json(sessions),
        "recovery": recovery_to_json(recovery),
        "words": ["not believed"],
    } | changes


def run(*arguments: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(build_app((AMAZON,)), ["wallet", *map(str, arguments)], input=stdin)


def write(folder: Path, value: Any, name: str = "wallet.json") -> Path:
    path = folder / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


@pytest.fixture
def shown(tmp_path: Path) -> str:
    done = run("show", write(tmp_path, answer()))
    assert done.exit_code == 0
    return done.stdout


def test_signers_stand_in_a_tree_with_weights_and_names(shown: str) -> None:
    assert f"├─ weight 1: {checksum(LOGIN)}" in shown
    assert f'│  ├─ weight 1: {checksum(DEFAULT_GUARD.wallet)} "guard", alone enough' in shown
    assert "Needs a weight of 2; checkpoint 0" in shown
    assert f"Image hash 0x{configuration().image_hash.hex()}" in shown


def test_what_an_application_may_do_until_when_and_move_at_most(shown: str) -> None:
    assert f"The key {checksum(KEY)} may act for this wallet on chain 1, until 2033-05-18 03:33:20 UTC" in shown
    assert "It may send at most 0.001 coins (1000000000000000 wei) in all" in shown
    assert f"of {checksum(TOKEN)}: 500 base units" in shown


def test_recovery_is_explained_with_its_waiting_time(shown: str) -> None:
    assert f"The key {checksum(DEVICE)} alone can have this wallet do anything, 30 days after" in shown
    assert "Until then the wallet's owners can prevent it" in shown


def test_several_sessions_are_summed_up_and_what_is_unbounded_stays_so(tmp_path: Path) -> None:
    tree = add(TREE, OTHER)
    done = run("show", write(tmp_path, answer(tree)))
    whole = done.stdout.partition("All of them together")[2]
    assert "coins: 0.001 coins" in whole
    assert f"of {checksum(TOKEN)}: WITHOUT A LIMIT" in whole
    found = json.loads(run("show", "--json", write(tmp_path, answer(tree))).stdout)
    assert [case["tokens"][checksum(TOKEN)] for case in found["worstCases"]] == ["500", None]


@pytest.mark.parametrize(
    "value",
    [
        configuration_to_json(configuration()),
        service_configuration_to_json(configuration()),
        answer(),
        answer() | {"sessions": sessions_to_service(TREE), "recovery": recovery_to_service(RECOVERY)},
        sessions_to_json(TREE),
        sessions_to_json(SESSION),
        recovery_to_json(RECOVERY),
    ],
    ids=["library", "service", "answer", "answer with service trees", "sessions", "one session", "recovery"],
)
def test_every_form_is_shown_from_a_file_and_from_standard_input(tmp_path: Path, value: Any) -> None:
    done = run("show", write(tmp_path, value))
    assert (done.exit_code, done.stderr) == (0, "")
    assert run("show", "-", stdin=json.dumps(value)).stdout == done.stdout
    assert json.loads(run("show", "--json", write(tmp_path, value)).stdout)["careful"] == []


@pytest.mark.parametrize("kind", ["config", "default-wallet"])
def test_shared_vectors_are_shown(tmp_path: Path, kind: str) -> None:
    path = FOLDER / "wallet-v3" / f"{kind}.json"
    if not path.exists():
        pytest.skip("shared vectors are not beside this checkout: wallet-v3")
    for vector in json.loads(path.read_text())["vectors"]:
        done = run("show", write(tmp_path, vector["config"]))
        assert done.exit_code == 0, done.stderr
        assert vector["imageHash"] in done.stdout


def test_trees_of_another_configuration_are_called_out_first(tmp_path: Path) -> None:
    other = flat([RecoveryLeaf(KEY, 86_400)])
    value = answer() | {"sessions": sessions_to_json(add(TREE, OTHER)), "recovery": recovery_to_json(other)}
    lines = run("show", write(tmp_path, value)).stdout.splitlines()
    assert lines[0] == "CAREFUL: the sessions below are NOT those of this configuration"
    assert "CAREFUL: the recovery keys below are NOT those of this configuration" in lines


def test_zero_threshold_is_called_out(tmp_path: Path) -> None:
    value = configuration_to_json(configuration()) | {"threshold": "0"}
    assert "ANYONE can act for this wallet" in run("show", write(tmp_path, value)).stdout


# --- diff ---


def test_difference_names_signers_sessions_and_recovery(tmp_path: Path) -> None:
    old = write(tmp_path, answer(), "old.json")
    recovery = flat([RecoveryLeaf(DEVICE, 7 * 86_400)])
    new = write(tmp_path, answer(add(TREE, OTHER), recovery), "new.json")
    done = run("diff", old, new)
    assert done.exit_code == 0
    assert f"├─ Added: The key {checksum(LOGIN)} may act for this wallet on every chain" in done.stdout
    assert f"Added: The key {checksum(DEVICE)} alone can have this wallet do anything, 7 days after" in done.stdout
    assert "Removed: " in done.stdout
    found = json.loads(run("diff", "--json", old, new).stdout)
    assert found["same"] is False
    assert {entry["about"] for entry in found["differences"]} == {
        "Who can sign",
        "What applications may do",
        "How recovery works",
    }


def test_same_wallet_in_two_forms_is_the_same(tmp_path: Path) -> None:
    old = write(tmp_path, configuration_to_json(configuration()), "old.json")
    new = write(tmp_path, service_configuration_to_json(configuration()), "new.json")
    assert run("diff", old, new).stdout.strip() == "Both say the same"
    assert json.loads(run("diff", "--json", old, new).stdout)["same"] is True


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    old = write(tmp_path, configuration_to_json(configuration()), "old.json")
    new = write(tmp_path, answer(), "new.json")
    assert "Only one of the two files has this tree" in run("diff", old, new).stdout
    sessions = write(tmp_path, sessions_to_json(TREE), "sessions.json")
    assert "the signers cannot be compared" in run("diff", old, sessions).stdout


# --- mistakes ---

LIBRARY = configuration_to_json(configuration())


def changed(path: tuple[Any, ...], **members: Any) -> Any:
    """The library's form with one object changed; None takes a member away."""
    value = json.loads(json.dumps(LIBRARY))
    place = value
    for step in path:
        place = place[step]
    for name, new in members.items():
        if new is None:
            del place[name]
        else:
            place[name] = new
    return value


FIRST = ("topology", 0, 0, 0)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "the file is empty"),
        ("{not json", "this is not JSON: Expecting property name enclosed in double quotes in line 1, column 2"),
        ('{"threshold": 1, "threshold": 2}', "a member name occurs twice in one object"),
        ("[" * 500 + "]" * 500, "it is nested deeper than any wallet"),
        ([], "this is no wallet: a list of 0"),
        ("3", "this is no wallet: a number"),
        ({}, "this is no wallet: an empty object"),
        ({"name": "chancery", "version": 1}, 'this is no wallet: an object with the members "name", "version"'),
        (changed((), threshhold="2"), 'a configuration has no member "threshhold"; its members are threshold'),
        (changed((), threshold=None), "a configuration lacks threshold"),
        (changed((), threshold="two"), "topology: `threshold` is not a whole number"),
        (changed(FIRST, wieght="1"), 'topology[0][0][0]: a leaf of type signer has no member "wieght"'),
        (changed(FIRST, weight=None), "topology[0][0][0]: a leaf of type signer lacks weight"),
        (changed(FIRST, weight="-1"), "topology[0][0][0]: `weight` is not a whole number"),
        (changed(FIRST, address="0x12"), "topology[0][0][0]: `address` is not 0x and 40 digits"),
        (changed(FIRST, address="0x" + "aB" * 20), "a wrong checksum: is it copied right?"),
        (changed(FIRST, type="singer"), 'topology[0][0][0]: "singer" is no type of a leaf; types are signer'),
        (changed(("topology",)) | {"topology": [LIBRARY["topology"]]}, "topology: a branch has two parts"),
        ({"configuration": {"a": 1}}, "configuration: this is no wallet"),
        (answer() | {"surplus": 1}, 'the answer has no member "surplus"'),
        (
            {**sessions_to_json(SESSION), "permissions": [{"target": checksum(TOKEN), "rule": []}]},
            'the tree.permissions[0]: a permission has no member "rule"',
        ),
        (
            {**sessions_to_json(SESSION), "permissions": [{"target": checksum(TOKEN), "rules": [{"mask": 1}]}]},
            "the tree.permissions[0].rules[0]: a rule lacks cumulative, operation, value, offset",
        ),
        (
            [recovery_to_json(RecoveryLeaf(KEY, 1)), {"type": "leaf", "signer": checksum(KEY)}],
            "the tree[1]: a leaf of type leaf lacks requiredDeltaTime, minTimestamp",
        ),
    ],
)
def test_mistake_is_named_in_one_sentence(tmp_path: Path, value: Any, sentence: str) -> None:
    path = write(tmp_path, value)
    done = run("show", path)
    assert done.exit_code == 2
    assert done.stderr.startswith(f"{path}: ")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    missing = run("show", tmp_path / "none.json")
    assert (missing.exit_code, missing.stderr.strip()) == (2, f"{tmp_path / 'none.json'}: there is no such file")
    assert "this is a folder, not a file" in run("show", tmp_path).stderr
    binary = tmp_path / "picture.png"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n\xff\xfe")
    assert "this is not text, and so not JSON" in run("show", binary).stderr
    large = write(tmp_path, '"' + "x" * (4 * 1024 * 1024) + '"')
    assert "the file is larger than any wallet" in run("show", large).stderr


def test_sentence_steers_no_terminal(tmp_path: Path) -> None:
    done = run("show", write(tmp_path, {"\u001b[31mred": 1, "\u202ereversed": 2}))
    assert "\u001b" not in done.stderr
    assert "\u202e" not in done.stderr


MEMBERS = [
    *("type", "address", "weight", "topology", "tree", "threshold", "checkpoint", "configuration"),
    *("sessions", "permissions", "signer", "rules", "x"),
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 300) | st.sampled_from(["0x" + "11" * 32, "1", "signer", "leaf"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(MEMBERS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_fault_is_explained_exactly_where_parsing_refuses(value: Any) -> None:
    try:
        parse_document(value)
    except EvmError:
        sentence = explain_fault(value)
        assert sentence
        assert "\n" not in sentence
    else:
        assert explain_fault(value) is None
