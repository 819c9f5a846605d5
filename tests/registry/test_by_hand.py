"""`embedtune champion`, `promote` and `rollback`, as they are typed, on MLflow's own store."""

import json
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from mlflow import MlflowClient

from embedtune.cli.main import main
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect, local_tracking_uri
from embedtune.registry import by_hand
from embedtune.registry.aliases import settle_aliases
from embedtune.registry.state import RegistryState, read_state
from tests.registry.conftest import comparison
from tests.registry.interleaving import add_version


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    uri = local_tracking_uri(tmp_path_factory.mktemp("by-hand"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(TRACKING_VARIABLE, uri)
        yield connect(uri)


@pytest.fixture
def shop(client, request):
    """A model with three versions, of which the second is champion, the first previous, the third challenger."""
    name = f"Shop {request.node.name.partition('[')[0][-40:]}".replace("_", " ")
    client.create_registered_model(name)
    for version, gain in enumerate((0.1, 0.3, 0.2), start=1):
        add_version(client, name, comparison(gain, True), f"{name}-{version}")
        settle_aliases(client, name, version)
    return name


def typed(capsys, monkeypatch, *words):
    """Return exit code, output and errors of a command line."""
    monkeypatch.setattr(sys, "argv", ["embedtune", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return (ended.value.code, *capsys.readouterr())


def aliases(client, name):
    return dict(read_state(client, name).aliases)


BEFORE = {"champion": 2, "previous": 1, "challenger": 3}


def test_promote_says_what_happened_and_keeps_why(client, shop, capsys, monkeypatch):
    code, out, _ = typed(capsys, monkeypatch, "promote", shop, "3", "--reason", "shorter vectors")
    assert (code, out) == (
        0,
        f"Version 3 of {shop} is champion now in place of version 2, which is 'previous' then. It loads as "
        f"models:/{shop}@champion; encode the index again with it.\n",
    )
    state = read_state(client, shop)
    assert state.aliases == {"champion": 3, "previous": 2, "challenger": 3}
    record = state.promotion(3)
    assert (record.number, record.replaced, record.by, record.reason) == (3, 2, "promote", "shorter vectors")
    assert abs(datetime.fromisoformat(record.at) - datetime.now(UTC)) < timedelta(minutes=5)
    code, out, _ = typed(capsys, monkeypatch, "promote", shop, "3")
    assert (code, out) == (0, f"Version 3 of {shop} is champion already; nothing was changed.\n")
    assert read_state(client, shop) == state


def test_rollback_goes_back_once(client, shop, capsys, monkeypatch):
    code, out, _ = typed(capsys, monkeypatch, "rollback", shop)
    assert (code, out) == (
        0,
        f"Version 1 of {shop} is champion now in place of version 2, which stays registered. It loads as "
        f"models:/{shop}@champion; encode the index again with it.\n",
    )
    state = read_state(client, shop)
    assert state.aliases == {**BEFORE, "champion": 1}
    assert (state.promotion(1).number, state.promotion(1).replaced, state.promotion(1).by) == (3, 2, "rollback")
    code, out, _ = typed(capsys, monkeypatch, "rollback", shop)
    assert (code, out) == (0, f"Version 1 of {shop} is champion already; nothing was changed.\n")
    assert read_state(client, shop) == state


def test_after_a_rollback_a_registration_that_is_repeated_promotes_nothing(client, shop, capsys, monkeypatch):
    typed(capsys, monkeypatch, "rollback", shop)
    for version in (1, 2):
        settle_aliases(client, shop, version)
    assert aliases(client, shop) == {**BEFORE, "champion": 1}


def test_after_a_rollback_the_next_promotion_counts_on(client, shop, capsys, monkeypatch):
    typed(capsys, monkeypatch, "rollback", shop)
    version = add_version(client, shop, comparison(0.4, True), f"{shop}-4")
    settle_aliases(client, shop, version)
    state = read_state(client, shop)
    assert state.aliases == {"champion": 4, "previous": 1, "challenger": 4}
    assert (state.promotion(4).number, state.promotion(4).replaced) == (4, 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("promote", "3"), "Would make version 3 of {} champion in place of version 2, which is 'previous' then."),
        (("rollback",), "Would make version 1 of {} champion in place of version 2, which stays registered."),
    ],
)
def test_dry_runs_change_nothing(client, shop, capsys, monkeypatch, words, told):
    code, out, _ = typed(capsys, monkeypatch, words[0], shop, *words[1:], "--dry-run")
    assert (code, out) == (0, f"{told.format(shop)} Nothing was changed.\n")
    assert aliases(client, shop) == BEFORE
    code, out, _ = typed(capsys, monkeypatch, "promote", shop, "2", "--dry-run")
    assert (code, out) == (0, f"Version 2 of {shop} is champion already; nothing would be changed.\n")
    client.delete_registered_model(shop)


def test_first_champion_replaces_nobody(client, capsys, monkeypatch):
    client.create_registered_model("untried")
    add_version(client, "untried", comparison(0.1, False), "untried-1")
    settle_aliases(client, "untried", 1)
    code, out, _ = typed(capsys, monkeypatch, "champion", "untried")
    assert (code, out) == (
        0,
        "untried: no version is champion.\nprevious: none\nchallenger: version 1\nversions: 1\n",
    )
    code, _, errors = typed(capsys, monkeypatch, "rollback", "untried")
    assert code == 1
    assert " ".join(errors.split()) == (
        "Error: 'untried' has no version with the alias 'previous', so there is nothing to go back to: no promotion "
        "has replaced a champion, or that version was deleted. There is version 1, champion is none; make one "
        "champion with `embedtune promote`."
    )
    assert "in place of" not in typed(capsys, monkeypatch, "promote", "untried", "1", "--dry-run")[1]


def test_a_refusal_lists_the_latest_twenty_versions():
    state = RegistryState("shop", {}, {version: {} for version in range(1, 26)})
    there = ", ".join(str(version) for version in range(6, 26))
    assert by_hand._listed(state) == f"there are versions {there}, champion is none"


def test_what_makes_no_sense_is_refused_with_what_is_there(client, shop, capsys, monkeypatch):
    code, _, errors = typed(capsys, monkeypatch, "promote", shop, "7")
    assert code == 1
    assert f"{shop!r} has no version 7; there are versions 1, 2, 3, champion is version 2." in errors
    code, _, errors = typed(capsys, monkeypatch, "champion", "nowhere at all")
    assert code == 1
    assert "There is no registered model 'nowhere at all'. There are '" in errors
    code, _, errors = typed(capsys, monkeypatch, "rollback", shop[:-1])
    assert f"There is no registered model {shop[:-1]!r}. Perhaps '" in errors
    code, _, errors = typed(capsys, monkeypatch, "promote", "it's", "1")
    assert 'model_name is "it\'s"' in errors
    assert typed(capsys, monkeypatch, "promote", shop, "0")[0] == 2
    assert aliases(client, shop) == BEFORE


def test_champion_tells_what_serves(client, shop, capsys, monkeypatch):
    code, out, _ = typed(capsys, monkeypatch, "champion", shop)
    digest = comparison(0.3, True).evaluation_digest
    assert code == 0
    assert re.sub(r"since: \S+,", "since: NOW,", out) == (
        "champion: version 2 (nDCG@10 0.8000 over 10 queries)\n"
        "since: NOW, by registration\n"
        "reason: nDCG@10 rose enough. It replaces version 1: on the same held-out data its nDCG@10 was 0.6000, and is "
        "0.8000 now.\n"
        f"held-out data: {digest}\n"
        "in place of: version 1\n"
        f"load it: models:/{shop}@champion\n"
        "previous: version 1\n"
        "challenger: version 3\n"
        "versions: 1, 2, 3\n"
    )
    found = json.loads(typed(capsys, monkeypatch, "champion", shop, "--json")[1])
    assert (found["version"], found["value"], found["by"], found["replaced"]) == (2, 0.8, "registration", 1)
    assert found["versions"] == [1, 2, 3]


def test_champion_tells_of_a_command_that_was_interrupted_until_it_is_typed_again(client, shop, capsys, monkeypatch):
    for command, version, chosen, replaced in (("promote", " 3", 3, 2), ("rollback", "", 2, 3)):
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, "set_registered_model_alias", interrupt)
            assert typed(capsys, patch, command, shop, *version.split(), "--reason", "my word")[0] == 130
        at = read_state(client, shop).promotion(chosen).at
        lines = typed(capsys, monkeypatch, "champion", shop)[1].splitlines()
        assert lines[0].startswith(f"champion: version {replaced} ")
        assert lines[-4] == (
            f"not finished: {command} chose version {chosen} at {at}, and the alias is not moved yet. If that runs no "
            f"more, repeat it: embedtune {command} '{shop}'{version} (the next registration would carry it out, too)"
        )
        found = json.loads(typed(capsys, monkeypatch, "champion", shop, "--json")[1])
        assert found["announced"] == {"version": chosen, "by": command, "at": at, "reason": "my word"}
        assert typed(capsys, monkeypatch, command, shop, *version.split())[0] == 0
        found = json.loads(typed(capsys, monkeypatch, "champion", shop, "--json")[1])
        assert (found["version"], found["by"], found["replaced"]) == (chosen, command, replaced)
        assert found["announced"] is None


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_alias_that_was_moved_elsewhere_has_no_date(client, shop, capsys, monkeypatch):
    client.set_registered_model_alias(shop, "champion", "1")
    out = typed(capsys, monkeypatch, "champion", shop)[1]
    assert "since: not known; embedtune did not move the alias here\n" in out
    assert "in place of" not in out
    client.set_registered_model_alias(shop, "champion", "3")
    assert "since: not known" in typed(capsys, monkeypatch, "champion", shop)[1]
    client.set_registered_model_alias(shop, "champion", "2")
    assert "by registration" in typed(capsys, monkeypatch, "champion", shop)[1]


def test_without_an_address_it_says_what_to_set(capsys, monkeypatch):
    monkeypatch.delenv(TRACKING_VARIABLE, raising=False)
    code, _, errors = typed(capsys, monkeypatch, "champion", "shop")
    assert code == 1
    assert "MLFLOW_TRACKING_URI is not set" in errors
