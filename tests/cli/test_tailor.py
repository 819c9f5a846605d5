"""`embedtune tailor`: layers before and after, from flags and from JSON alike."""

import json

from embedtune.models.options import ModelOptions

HEAD_GONE = "A classification head that the model may have been published with is gone already: only its body"


def test_a_model_as_it_is(embedtune, tiny_model):
    done = embedtune("tailor", "--model", tiny_model)
    assert done.code == 0
    lines = [line.split() for line in done.out.splitlines()]
    assert ["1", "Pooling", "32", "0", "0"] in lines
    total = next(line for line in lines if line[:1] == ["total"])
    assert total[1] == total[2]
    assert "after" not in done.out
    assert HEAD_GONE in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines()[1:])) <= 100


def test_what_is_changed_is_shown_beside_what_was(embedtune, tiny_model):
    done = embedtune("tailor", "--model", tiny_model, "--output-dim", 7, "--freeze", "backbone", "--normalize")
    before, _, after = done.out.partition("\nafter")
    assert "Dense" not in before
    lines = [line.split() for line in after.splitlines()]
    assert ["2", "Dense", "7", "231", "231"] in lines  # 32 * 7 + 7
    assert ["3", "Normalize", "7", "0", "0"] in lines
    assert next(line for line in lines if line[:1] == ["total"])[2] == "231"


def test_flags_and_json_together(embedtune, tiny_model):
    options = '{"pooling": "cls", "output_dim": 9, "query_prompt": "q: "}'
    done = embedtune("tailor", "--model", tiny_model, "--options", options, "--output-dim", 9, "--json")
    facts = json.loads(done.out)
    assert [layer["kind"] for layer in facts["after"]][-2:] == ["Pooling", "Dense"]
    assert facts["after"][-1] == {
        "name": "2",
        "kind": "Dense",
        "shape": [9],
        "parameters": 297,
        "trainable": 297,
    }
    assert facts["prompts"] == {"query": "q: "}
    assert facts["model"] == str(tiny_model)


def test_points(embedtune):
    out = embedtune("tailor", "--model", "pointnet-base").out
    assert "1,329,984" in out
    assert HEAD_GONE not in " ".join(out.split())


def test_every_option_is_a_flag(embedtune):
    out = embedtune("tailor", "--help").out
    for name in ModelOptions.__dataclass_fields__:
        assert f"--{name.replace('_', '-')} " in out


def test_what_is_refused(embedtune, tiny_model):
    done = embedtune("tailor", "--model", tiny_model, "--options", '{"poolin": "cls"}')
    assert (done.code, done.out) == (1, "")
    assert "Error: --options has the unknown key 'poolin'. Perhaps 'pooling' is meant." in done.err
    done = embedtune("tailor", "--model", tiny_model, "--options", '{"output_dim": 5}', "--output-dim", 9)
    assert (done.code, done.err) == (1, "Error: --output-dim is 9, but --options says 5. Give it once.\n")
    done = embedtune("tailor", "--model", tiny_model, "--pooling-p", -1.0)
    assert done.err == "Error: --pooling-p is -1.0; accepted: above 0.\n"
    done = embedtune("tailor", "--model", tiny_model, "--freeze", "nothing.like.this")
    assert "freeze names 'nothing.like.this', which matches no layer." in done.err
    assert "no backbone. Use bge-base-en-v1.5" in embedtune("tailor", "--model", "crossencoder-base-en").err
