import pytest

from embedtune.errors import ConfigError
from embedtune.records.csv_options import CSVOptions


@pytest.mark.parametrize("text", ["", "  ", "{}"])
def test_nothing_means_defaults(text):
    assert CSVOptions.from_json(text) == CSVOptions(dialect="auto", encoding="auto", header="auto")


def test_fields_are_read():
    text = '{"dialect": "excel-tab", "encoding": "cp1252", "header": "no"}'
    assert CSVOptions.from_json(text) == CSVOptions("excel-tab", "cp1252", "no")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "are not JSON"),
        ("[]", "not a JSON object"),
        ('{"size": 3}', "Unknown CSV option 'size'. Accepted: dialect, encoding, header"),
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
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        CSVOptions.from_json(text)
