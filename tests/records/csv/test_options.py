import re

import pytest

from embedtune.errors import ConfigError
from embedtune.records.csv.options import CSVOptions, IngestRequest


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_nothing_means_defaults(text):
    assert CSVOptions.from_json(text) == CSVOptions()


def test_fields_are_read():
    text = '{"dialect": "excel-tab", "encoding": "cp1252", "header": "no"}'
    assert CSVOptions.from_json(text) == CSVOptions(dialect="excel-tab", encoding="cp1252", header="no")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are not JSON"),
        ("[]", "not a JSON object"),
        (
            '{"sizes": 3}',
            "Unknown CSV option 'sizes'. Perhaps 'size' is meant. Accepted: size, sampling_rate, dialect",
        ),
        ('{"size": 0}', "size=0 is not accepted. Give a whole number of 1 or more"),
        ('{"size": "3"}', "size='3' is not accepted"),
        ('{"size": true}', "size=True is not accepted"),
        ('{"size": 2.5}', "size=2.5 is not accepted"),
        ('{"sampling_rate": 0}', "sampling_rate=0 is not accepted. Give a number above 0 and at most 1"),
        ('{"sampling_rate": 1.5}', "sampling_rate=1.5"),
        ('{"sampling_rate": NaN}', "sampling_rate=nan"),
        ('{"sampling_rate": true}', "sampling_rate=True"),
        ('{"is_labeled": "yes"}', "is_labeled='yes' is not accepted. Give true or false"),
        ('{"convert_to_blob": null}', "convert_to_blob=None is not accepted"),
        ('{"point_cloud_size": 1000001}', "point_cloud_size=1000001 is not accepted. Give a whole number from 1 to"),
        ('{"seed": -1}', "seed=-1"),
        ('{"task": "text"}', "task='text' is not accepted. Choose one of auto, text-to-text, text-to-image"),
        ('{"columns": "text"}', "columns='text' is no list of columns"),
        ('{"columns": []}', "columns=[] is no list of columns"),
        ('{"columns": [0, 1]}', "columns names column 0. The first column is number 1"),
        ('{"columns": [1.5]}', "columns names 1.5"),
        ('{"columns": ["a", "a"]}', "names a column twice"),
        ('{"columns": ["a", "b"], "header": "no"}', "holds names, but header is 'no'"),
        ('{"dialect": 3}', "dialect=3 is not a string"),
        ('{"dialect": "csv"}', "dialect='csv' is not accepted. Choose one of auto, excel"),
        ('{"header": "maybe"}', "header='maybe'"),
        ('{"header": true}', "header=True is not a string"),
        ('{"encoding": "klingon"}', "encoding='klingon' is not a text encoding"),
        ('{"encoding": "base64"}', "encoding='base64'"),
        ('{"encoding": "unicode_escape"}', "encoding='unicode_escape'"),
        ('{"encoding": "utf-7"}', "encoding='utf-7'"),
    ],
)
def test_what_is_not_accepted(text, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        CSVOptions.from_json(text)


def test_all_fields_are_those_of_finetuner_and_ours():
    options = CSVOptions.from_json(
        '{"size": 10, "sampling_rate": 0.5, "dialect": "unix", "encoding": "utf-8", "is_labeled": true, '
        '"convert_to_blob": false, "create_point_clouds": false, "point_cloud_size": 512, "header": "yes", '
        '"columns": ["a", 2], "seed": 7, "task": "mesh-to-mesh"}'
    )
    assert options == CSVOptions(10, 0.5, "unix", "utf-8", True, False, False, 512, "yes", ("a", 2), 7, "mesh-to-mesh")
    assert CSVOptions().point_cloud_size == 2048


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("score", {}, "layout='score' is not accepted. Choose one of auto, labelled, pairs, text-image, scored"),
        ("beir", {}, "layout='beir' is not accepted"),
        ("pairs", {"is_labeled": True}, "layout='pairs' and the CSV option is_labeled=True contradict"),
        ("labelled", {"is_labeled": False}, "is_labeled=False contradict"),
        ("pairs", {"task": "text-to-image"}, "task='text-to-image' does not fit the layout 'pairs'"),
        ("text-image", {"task": "image-to-image"}, "does not fit the layout 'text-image'"),
        ("auto", {"task": "text-to-image", "is_labeled": True}, "does not fit the layout 'labelled'"),
        ("plain", {"task": "mesh-to-mesh"}, "does not fit the layout 'plain'"),
        ("pairs", {"columns": [1, 2, 3]}, "names 3 columns, but the layout pairs needs 2"),
        ("matches", {"columns": [1, 2]}, "names 2 columns, but the layout matches needs 3 or more"),
    ],
)
def test_requests_that_contradict_themselves(layout, options, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        IngestRequest(layout, CSVOptions(**options))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("delimiter", "dialect"),
        ("sep", "dialect"),
        ("quotechar", "dialect"),
        ("charset", "encoding"),
        ("usecols", "columns"),
        ("nrows", "size"),
        ("sampel_rate", "sampling_rate"),
        ("headr", "header"),
    ],
)
def test_unknown_keys_point_to_ours(key, meant):
    with pytest.raises(ConfigError, match=f"^Unknown CSV option '{key}'. Perhaps '{meant}' is meant"):
        CSVOptions.from_json(f'{{"{key}": ";"}}')


def test_a_key_like_none_of_ours_gets_no_hint():
    with pytest.raises(ConfigError, match=r"^Unknown CSV option 'colour'\. Accepted: size"):
        CSVOptions.from_json('{"colour": 1}')
