"""The names that say what a column holds, and the weighing of whether a row reads like names at all."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum

from embedtune.records.layouts import media_suffix


class Role(StrEnum):
    """What a column holds."""

    TEXT = "text"
    LABEL = "label"
    QUERY = "query"
    DOCUMENT = "document"
    NEGATIVE = "wrong answer"
    SCORE = "score"
    FIRST = "first"
    SECOND = "second"
    MEDIA = "image or mesh"


ROLE_NAMES: dict[Role, tuple[str, ...]] = {
    Role.TEXT: (
        "text", "sentence", "content", "utterance", "phrase", "message", "body", "title", "comment", "review",
        "caption", "description",
        "satz", "inhalt", "äußerung", "nachricht", "titel", "kommentar", "beschreibung",
        "texte", "contenu", "énoncé", "titre", "commentaire", "avis", "légende",
        "texto", "frase", "oración", "contenido", "mensaje", "título", "comentario", "reseña", "descripción",
        "conteúdo", "mensagem", "descrição",
        "testo", "contenuto", "messaggio", "titolo", "commento", "recensione", "descrizione",
        "tekst", "zin", "inhoud", "bericht", "opmerking", "beschrijving", "omschrijving",
        "zdanie", "treść", "wiadomość", "tytuł", "komentarz", "opis",
        "текст", "предложение", "содержание", "сообщение", "название", "заголовок", "комментарий", "отзыв", "описание",
        "metin", "cümle", "içerik", "mesaj", "başlık", "yorum", "açıklama",
        "文本", "文字", "句子", "内容", "內容", "正文", "标题", "標題", "评论", "評論", "描述",
        "テキスト", "文", "本文", "文章", "タイトル", "件名", "コメント", "レビュー", "説明",
        "텍스트", "문장", "내용", "본문", "제목", "댓글", "리뷰", "설명",
        "نص", "النص", "جملة", "محتوى", "المحتوى", "رسالة", "عنوان", "العنوان", "تعليق", "وصف", "الوصف",
    ),
    Role.LABEL: (
        "label", "class", "category", "code", "intent", "target", "tag", "topic", "group", "cluster", "label_id",
        "class_id", "category_id", "finetuner_label",
        "etikett", "klasse", "kategorie", "absicht", "thema", "gruppe", "rubrik",
        "étiquette", "classe", "catégorie", "intention", "thème", "groupe", "rubrique",
        "etiqueta", "clase", "categoría", "intención", "tema", "grupo",
        "rótulo", "intenção", "tópico",
        "etichetta", "intento", "argomento", "gruppo",
        "groep",
        "etykieta", "klasa", "kategoria", "intencja", "temat", "grupa",
        "метка", "класс", "категория", "намерение", "тема", "группа",
        "etiket", "sınıf", "kategori", "niyet", "konu", "grup",
        "标签", "標籤", "类别", "類別", "分类", "分類", "意图", "主题",
        "ラベル", "カテゴリ", "カテゴリー", "クラス", "意図", "タグ",
        "라벨", "레이블", "카테고리", "분류", "클래스", "의도", "태그",
        "تصنيف", "التصنيف", "فئة", "الفئة", "تسمية",
    ),
    Role.QUERY: (
        "query", "question", "anchor", "search", "search_term", "keyword", "prompt",
        "frage", "anfrage", "suchanfrage", "suchbegriff", "requête", "recherche", "pregunta", "consulta", "búsqueda",
        "pergunta", "busca", "domanda", "ricerca", "vraag", "zoekopdracht", "zoekterm", "pytanie", "zapytanie",
        "вопрос", "запрос", "soru", "sorgu", "arama", "问题", "問題", "问句", "提问", "查询", "查詢", "質問", "クエリ",
        "検索語", "질문", "쿼리", "검색어", "سؤال", "السؤال", "استعلام",
    ),
    Role.DOCUMENT: (
        "document", "answer", "passage", "positive", "doc", "response", "result",
        "dokument", "antwort", "réponse", "documento", "respuesta", "pasaje", "resposta", "passagem", "risposta",
        "brano", "antwoord", "odpowiedź", "документ", "ответ", "belge", "doküman", "cevap", "yanıt", "文档", "文檔",
        "答案", "回答", "回复", "文書", "ドキュメント", "答え", "문서", "답변", "대답", "مستند", "وثيقة", "جواب",
        "الجواب", "إجابة",
    ),
    Role.NEGATIVE: (
        "wrong_answer", "negative", "hard_negative", "incorrect_answer", "negative_document", "negative_passage",
        "falsche_antwort", "mauvaise_réponse", "respuesta_incorrecta", "resposta_errada", "risposta_sbagliata",
        "fout_antwoord", "zła_odpowiedź", "неправильный_ответ", "yanlış_cevap", "错误答案", "誤答", "오답",
    ),
    Role.SCORE: (
        "score", "similarity", "similarity_score", "relatedness", "relatedness_score", "relevance", "finetuner_score",
        "ähnlichkeit", "relevanz", "similarité", "pertinence", "similitud", "relevancia", "puntuación",
        "similaridade", "pontuação", "similarità", "rilevanza", "punteggio", "gelijkenis", "relevantie",
        "podobieństwo", "trafność", "сходство", "релевантность", "оценка", "benzerlik", "skor", "puan", "相似度",
        "相关性", "分数", "得分", "类似度", "類似度", "スコア", "関連度", "유사도", "점수", "관련도", "تشابه", "درجة",
    ),
    Role.FIRST: ("first", "sentence1", "sentence_1", "sentence_a", "text1", "text_1", "text_a"),
    Role.SECOND: ("second", "sentence2", "sentence_2", "sentence_b", "text2", "text_2", "text_b"),
    Role.MEDIA: (
        *(f"{what}{part}" for what in ("image", "img", "picture", "photo", "mesh")
          for part in ("", "_uri", "_url", "_path", "_file", "_filename", "_file_name", "_name", "_id")),
        "uri", "url", "path", "file", "filename", "file_name",
        "bild", "foto", "bilddatei", "bildpfad", "imagen", "imagem", "immagine", "afbeelding", "obraz", "zdjęcie",
        "изображение", "картинка", "фото", "resim", "görsel", "fotoğraf", "图片", "图像", "照片", "圖片", "画像",
        "写真", "이미지", "사진", "صورة",
    ),
}  # fmt: skip
"""Known names of each role, English ones first, then German, French, Spanish, Portuguese, Italian, Dutch, Polish,
Russian, Turkish, Chinese, Japanese, Korean and Arabic. See `role_of` for what makes no difference."""

_NAMES_OF_ANY_ADDRESS = frozenset({"uri", "url", "path", "file", "filename", "file_name"})
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>|【[^【】]*】")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PREFIX = re.compile(r".*(?:\.|__)(?=[^\W_])")
_LONGEST = 100
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060\u00ad"))
_WITHOUT_ACCENT = str.maketrans("ıłøđ", "ilod")


def comparable(cells: Sequence[str]) -> str:
    """Return what rows of the same names share, whatever their case, blanks, and empty values at their ends."""
    visible = "\0".join(" ".join(cell.split()) for cell in cells).translate(_INVISIBLE).casefold()
    return visible.strip("\0")


def plain_name(name: str) -> str:
    """Return a name without what makes no difference: case, accents, signs, brackets and what is in them.

    Words are joined by '_': `Label (0-5)*` is `label`, `searchTerm:` is `search_term`.
    """
    visible = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
    bare = _BRACKETS.sub(" ", visible)
    humps = _HUMP.sub("_", bare if bare.strip() else visible)
    letters = unicodedata.normalize("NFD", humps.casefold().translate(_WITHOUT_ACCENT))
    kept = "".join(sign for sign in letters if unicodedata.category(sign) != "Mn")
    return re.sub(r"[\W_]+", "_", unicodedata.normalize("NFC", kept)).strip("_")


_ROLES = {plain_name(name): role for role, names in ROLE_NAMES.items() for name in names}


def role_of(name: str) -> Role | None:
    """Return what a column of this name holds, or None where the name is not known.

    Case, accents, blanks, signs, and what stands in brackets make no difference (`plain_name`), nor do a plural and the
    prefix of a table (`t.text`, `tags__label`). Those of a wrong answer may end with a number: `wrong_answer_1`.
    """
    if len(name) > _LONGEST:
        return None
    last = _PREFIX.sub("", name)
    for each in (name,) if last == name else (name, last):
        plain = plain_name(each)
        for form in (plain, plain.removesuffix("s"), re.sub("ies$", "y", plain)):
            if form in _ROLES:
                return _ROLES[form]
        if _ROLES.get(re.sub(r"_?\d+$", "", plain)) is Role.NEGATIVE:
            return Role.NEGATIVE
    return None


def names_any_address(name: str) -> bool:
    """Whether a known name of an image or mesh, such as `url`, may be that of a page or a document as well."""
    return plain_name(name) in _NAMES_OF_ANY_ADDRESS


NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")

_TELLING = frozenset({Role.TEXT, Role.LABEL, Role.QUERY, Role.DOCUMENT, Role.NEGATIVE})
_TELLING_ALONE = frozenset({Role.TEXT, Role.QUERY, Role.DOCUMENT})

# In powers of ten. Measured on headerless files (questions, captions, headlines, tickets with labels) with any of their
# rows as the first one, and with twenty pairs of unknown names above them: at 12 rows and more, 1 % of the rows of data
# weigh 1 or more, and 5 % of the headers less than 1.5.
_SEVERAL_KNOWN = 4.0
_ONE_KNOWN = 2.0
_ONE_HINTED = 0.5
_LIKE_DATA = -3.0
_MOST_OF_A_COLUMN = 2.0
_COLUMNS_COUNTED = 2
_LIKE_A_SENTENCE = -1.0
_LIKE_A_TEXT = -2.0
_LONG = -0.5

_LEAST_VALUES = 3
_LOOKED_AT = 1000
_LONGER = 1.5
_PADDING = 5
_REPEATED = 3
_REPEATED_SHARE = 0.1
_SELDOM = 0.01
_NAME_WORDS = 4
_SENTENCE_WORDS = 8
_TEXT_WORDS = 15
_TEXT_LENGTH = 100
_CASED_LENGTH = 50
_ENDS = tuple(".!?。！？…")
_GOES_ON = re.compile(r"[.!?;,] \w+ \w+")
_ENUMERATED = re.compile(r"Q?\d{1,2}[.):]\s+")
_YEAR = re.compile(r"(19|20)\d\d")
_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "?"})
_IDENTIFIER = re.compile(r"[^\W\d_]+[^\W_]*([_.][^\W_]+)+|[a-z]+([A-Z][a-z0-9]*)+")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ].*")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w+")


def weigh_names(row: Sequence[str], rows: Sequence[Sequence[str]]) -> float:
    """Return how much speaks for a row being names of columns, in powers of ten; a row of data weighs about 0 or less.

    - A known name (`role_of`) of a text, label, query, document or wrong answer counts 2, one of
      something else 0.5, and known names of several things 4.
    - Each column counts what is rare about its name among its values: where one in a hundred is like it, by chance
      a row of data is with a probability of 1 %, and it counts 2, the most there is. Looked at are: a value that comes
      once where the others recur, length, case, numbers, addresses, digits, the sign at the end, `snake_case`, script.
      The two columns that count most are added. Values that are all numbers or addresses below a name which is
      none count 2 from three of them on, or from one under the known name of a score, image or mesh.
    - A value that comes again in its column, a number among numbers, and an address count -3, unless there are known
      names of several things. A year among numbers that are no years counts nothing.
    - A value of more than four words counts -0.5, one of more than eight or that reads like a sentence -1, and one of
      fifteen -2; brackets and a number at the beginning left out. Where hardly a value below counts as much, as with a
      question above labels, it counts nothing.
    - The numbers from 0 on, as pandas names columns, count 4 unless the first column holds numbers.

    Args:
        row: Values, stripped.
        rows: Other rows of the same width. Those that equal `row` are passed over if they are few, for a header may
            come again; but not in a single column under no known name.
    """
    names = comparable(row)
    longest = len(row[0]) + _PADDING
    others = [other for other in rows if len(other[0]) > longest or comparable(other) != names]
    repeated = len(rows) - len(others)
    if (len(row) > 1 or role_of(row[0])) and repeated <= max(_REPEATED, _REPEATED_SHARE * len(rows)) <= len(others):
        rows = others
    columns = list(zip(*rows, strict=True)) or [()] * len(row)
    roles = {role for role in map(role_of, row) if role is not None}
    weights = [_weigh(name, column) for name, column in zip(row, columns, strict=True)]
    weight = sum(sorted((each for each in weights if each > 0), reverse=True)[:_COLUMNS_COUNTED])
    weight += sum(map(_weigh_length, row, columns))
    if len(roles) > 1 or (list(row) == list(map(str, range(len(row)))) and columns[0] and not all_numbers(columns[0])):
        return weight + _SEVERAL_KNOWN
    telling = roles & (_TELLING if len(row) > 1 else _TELLING_ALONE)
    known = _ONE_KNOWN if telling else _ONE_HINTED if roles else 0.0
    return weight + known + min([0.0, *weights])


def all_numbers(column: Sequence[str]) -> bool:
    """Whether every value of a column is a number."""
    return all(NUMBER.fullmatch(cell) for cell in column)


def _weigh(name: str, column: Sequence[str]) -> float:
    """Return what one column tells."""
    if name.casefold() in _NOTHING:
        return 0.0
    if name in column or _kind(name) == "address":
        return _LIKE_DATA
    cells = [cell for cell in column[:_LOOKED_AT] if cell]
    kinds = Counter(map(_kind, cells))
    if _kind(name) and 2 * kinds[_kind(name)] > len(cells):
        year = _YEAR.fullmatch(name) and not any(map(_YEAR.fullmatch, cells))
        return 0.0 if year else _LIKE_DATA
    needed = 1 if role_of(name) in (Role.SCORE, Role.MEDIA) else _LEAST_VALUES
    if len(cells) >= needed and len(kinds) == 1 and "" not in kinds and not _kind(name):
        return _MOST_OF_A_COLUMN
    if len(cells) < _LEAST_VALUES:
        return 0.0
    likest = min(_alike(name, cells))
    return min(math.log10((len(cells) + 1) / (likest + 1)), _MOST_OF_A_COLUMN)


def _alike(name: str, cells: list[str]) -> list[int]:
    """Return how many values are like a name, in each respect in which a name may differ from values."""
    once = sum(count == 1 for count in Counter(cells).values())
    no_longer = sum(len(cell) <= _LONGER * len(name) for cell in cells)
    alike = [once, no_longer]
    for trait, of_names in _TRAITS:
        found = trait(name)
        if of_names(found):
            alike.append(sum(trait(cell) == found for cell in cells))
    return alike


def _weigh_length(name: str, column: Sequence[str]) -> float:
    """Return what the length of a name tells, which is nothing if the values below are of another."""
    weight = _weigh_form(name)
    cells = column[:_LOOKED_AT] if weight else ()
    alike = sum(_weigh_form(cell) <= weight for cell in cells)
    return 0.0 if len(cells) >= _LEAST_VALUES and alike <= _SELDOM * len(cells) else weight


def _weigh_form(cell: str) -> float:
    cell = _ENUMERATED.sub("", _BRACKETS.sub("", cell).strip())
    words = len(cell.split())
    if words >= _TEXT_WORDS or len(cell) > _TEXT_LENGTH:
        return _LIKE_A_TEXT
    ends = words > 2 and cell.endswith((".", "!", "。", "！"))
    if ends or _GOES_ON.search(cell):
        return _LIKE_A_SENTENCE
    return _LONG * (words > _NAME_WORDS) + _LONG * (words > _SENTENCE_WORDS)


def _kind(cell: str) -> str:
    """Return what a value is that is no words: 'figures', 'address', 'mail'; else ''."""
    if " " not in cell and ("://" in cell or media_suffix(cell) is not None):
        return "address"
    if _MAIL.fullmatch(cell):
        return "mail"
    figures = any(map(str.isdigit, cell)) and not any(map(str.isalpha, cell))
    return "figures" if figures or _TIMESTAMP.fullmatch(cell) else ""


def _case(cell: str) -> str:
    letters = [sign for sign in cell[:_CASED_LENGTH] if sign.lower() != sign.upper()]
    if not letters:
        return ""
    if all(map(str.isupper, letters)):
        return "upper"
    return "title" if letters[0].isupper() else "lower"


_TRAITS: tuple[tuple[Callable[[str], object], Callable[[object], bool]], ...] = (
    (_kind, lambda found: not found),
    (_case, bool),
    (str.isascii, bool),
    (lambda cell: any(map(str.isdigit, cell)), lambda found: not found),
    (lambda cell: cell.endswith(_ENDS), lambda found: not found),
    (lambda cell: _IDENTIFIER.fullmatch(cell) is not None, bool),
)
"""Traits of a value, and which of their outcomes a name would have."""
