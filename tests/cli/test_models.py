"""`embedtune models`: tables that fit a terminal, ids that can be copied, and JSON."""

import json

import embedtune as package
from embedtune.models.catalogue import TASKS, catalogue


def test_the_tables_fit_and_hold_every_name_and_id_unbroken(embedtune):
    done = embedtune("models")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 100
    words = done.out.split()
    for known in catalogue():
        assert known.name in words
        assert known.model in words or not known.model
    assert [line.strip() for line in done.out.splitlines() if line.strip() in TASKS] == list(TASKS)


def test_one_task(embedtune):
    out = embedtune("models", "--task", "mesh-to-mesh").out
    assert "pointnet-base" in out
    assert "all-MiniLM-L6-v2" not in out


def test_what_is_not_loaded_says_so(embedtune):
    out = " ".join(embedtune("models", "--task", "text-to-image").out.split())
    assert "Not loaded: it is in the format of open_clip, which is not read here. Use siglip2-base." in out


def test_json_for_programs(embedtune):
    entries = {entry["name"]: entry for entry in json.loads(embedtune("models", "--json").out)}
    assert list(entries) == [known.name for known in catalogue()]
    assert entries["e5-small-v2"]["query_prompt"] == "query: "
    assert entries["resnet-base"]["can_be_loaded"] is True
    assert entries["mlp"]["can_be_loaded"] is False


def test_an_unknown_task(embedtune):
    done = embedtune("models", "--task", "audio")
    assert done.code == 1
    assert "--task is 'audio'; accepted: text-to-text, text-to-image, image-to-image, mesh-to-mesh" in done.err


def test_from_python(capsys):
    package.describe_models("image-to-image")
    out = capsys.readouterr().out
    assert "facebook/dinov2-small" in out
    assert "bge" not in out
