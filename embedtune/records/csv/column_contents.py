"""What a column holds: its role by its name, images, meshes or texts by its values; and tables of columns."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from embedtune.errors import InputError
from embedtune.records.layouts import MEDIA_SUFFIXES, Modality, media_suffix
from embedtune.text import excerpt, shown_names


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
BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|<[^<>]*>|【[^【】]*】")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_PREFIX = re.compile(r".*(?:\.|__)(?=[^\W_])")
_LONGEST = 100
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u2060\u00ad"))
_WITHOUT_ACCENT = str.maketrans("ıłøđ", "ilod")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_UNNAMED = re.compile(r"|Unnamed: 0(\.\d+)?|row\.names|rownames|\.\.\.1")
_KEY = re.compile(r"(?!\d*\.\d+$)[\w.-]*\d[\w.-]*")

_WITH_SCHEME = re.compile(r"(?:(?:https?|s3|minio|file)://|data:[\w.+-]+/[\w.+-]+[;,])\S+", re.IGNORECASE)
_BEGINS_AS_PATH = re.compile(r"~?/|\.\.?/|[A-Za-z]:[\\/]")
_PAGE = re.compile(r"https?://\S+$", re.IGNORECASE)
_BLANK = re.compile(r"\s")
_NEARLY_ALL = 0.9
_HALF = 0.5
_WORDS_OF_A_NAME = 5
_OF_SENTENCES = re.compile(r"[?!;:]|[.,]\s")


def comparable(cells: Sequence[str]) -> str:
    """Return what rows of the same names share, whatever their case, blanks, and empty values at their ends."""
    visible = "\0".join(" ".join(cell.split()) for cell in cells).translate(_INVISIBLE).casefold()
    return visible.strip("\0")


def plain_name(name: str) -> str:
    """Return a name without what makes no difference: case, accents, signs, brackets and what is in them.

    Words are joined by '_': `Label (0-5)*` is `label`, `searchTerm:` is `search_term`.
    """
    visible = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) != "Cf")
    bare = BRACKETS.sub(" ", visible)
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


@dataclass(frozen=True)
class Table:
    """Rows of values, all of one width."""

    names: tuple[str, ...]
    """Names of the columns; 'column 1' and so on where there is no header."""
    header: bool
    """Whether the names stand in the file."""
    rows: list[list[str]]
    """Values, stripped; some may be empty."""

    @classmethod
    def of(cls, names: tuple[str, ...], header: bool, records: list[list[str]]) -> "Table":
        """Make a table of those records that are as wide as the names are many."""
        return cls(names, header, [cells for cells in records if len(cells) == len(names)])

    @property
    def shown_names(self) -> str:
        """The names in one line, cut to a length that fits a message."""
        return shown_names(self.names)

    @property
    def index(self) -> int:
        """How many columns at the left hold keys of rows, as pandas and R write them: without a name, 1 at most."""
        unnamed = self.header and len(self.names) > 1 and _UNNAMED.fullmatch(self.names[0])
        return int(bool(unnamed and are_keys(self.cells(0))))

    def select(self, positions: Sequence[int]) -> "Table":
        """Return the table with some columns only, in the given order."""
        names = tuple(self.names[i] for i in positions)
        return Table(names, self.header, [[cells[i] for i in positions] for cells in self.rows])

    def cells(self, position: int) -> list[str]:
        """Return the values of a column that are not empty."""
        return [cells[position] for cells in self.rows if cells[position]]


def are_keys(values: Sequence[str]) -> bool:
    """Whether values are whole numbers, or all different words with a digit, as rows are called, but no decimals."""
    if all(map(str.isdecimal, values)):
        return True
    return len(set(values)) == len(values) and all(map(_KEY.fullmatch, values))


def all_numbers(column: Sequence[str]) -> bool:
    """Whether every value of a column is a number."""
    return all(NUMBER.fullmatch(cell) for cell in column)


def is_address(value: str) -> bool:
    """Whether a value in a column of images or meshes can be the address of one.

    That is a URL (http, https, s3, minio, file, data), a path with an ending of MEDIA_SUFFIXES, or a path with a
    separator and without white space.
    """
    if _WITH_SCHEME.fullmatch(value) or media_suffix(value) is not None:
        return True
    return ("/" in value or "\\" in value) and _BLANK.search(value) is None


def modality_of_column(name: str, cells: Sequence[str]) -> Modality | None:
    """Tell what the cells of a column are, see `modality_of_cells`, with the help of its name.

    Under the name of an image or mesh nothing is a text, unless it is a name that pages have too (`url`, `path`,
    `file`) over web addresses that do not end like an image or mesh: what else is there may be ids or names without
    their ending, which nobody would train on as texts.
    """
    if role_of(name) is not Role.MEDIA or not cells:
        return modality_of_cells(cells)
    if names_any_address(name) and not ends_like_media(cells):
        pages = sum(_PAGE.match(cell) is not None for cell in cells)
        return Modality.TEXT if pages >= _NEARLY_ALL * len(cells) else None
    found = modality_of_cells(cells, named=True)
    return None if found is Modality.TEXT else found


def ends_like_media(cells: Sequence[str]) -> bool:
    """Whether at least half of the values end like an image or mesh."""
    return sum(media_suffix(cell) is not None for cell in cells) >= _HALF * len(cells)


def modality_of_cells(cells: Sequence[str], named: bool = False) -> Modality | None:
    """Tell what the cells of a column are.

    An address is a URL without white space (http, https, s3, minio, file, data), or a path that ends like an image or
    mesh and has no white space, unless it begins as a path does (`/`, `./`, `../`, `~/`, `C:/`) or the column's name
    tells. So the text 'Where is logo.png' is no address, and a few texts 'logo.png' among others do not make the column
    one of images; where nine of ten are as 'my photo.png', five words at most and no sentence, it cannot be told.

    The cells are those at the beginning of the file, stripped. If the column is `named` as one of images or meshes,
    URLs need no ending to be images, and paths may have white space. Returned is TEXT where fewer than half of the
    cells are addresses; IMAGE or MESH where nine of ten are and at least half of those end like one, and none like the
    other; None where it cannot be told.
    """
    kinds = [_kind(cell, named) for cell in cells]
    addresses = sum(kind is not None for kind in kinds)
    spaced = sum(kind is None and _may_be_spaced(cell) for kind, cell in zip(kinds, cells, strict=True))
    if spaced and addresses + spaced >= _NEARLY_ALL * len(cells):
        return None
    if not addresses or addresses < _HALF * len(cells):
        return Modality.TEXT
    images, meshes = (kinds.count(modality) for modality in (Modality.IMAGE, Modality.MESH))
    if addresses < _NEARLY_ALL * len(cells) or (images and meshes):
        return None
    if images + meshes < _HALF * addresses:
        return Modality.IMAGE if named and not meshes else None
    return Modality.IMAGE if images else Modality.MESH


def told_modality(name: str, cells: Sequence[str]) -> Modality:
    """Return what `modality_of_column` tells; where it cannot, an InputError says why and what to do."""
    found = modality_of_column(name, cells)
    if found is not None:
        return found
    if role_of(name) is Role.MEDIA and not ends_like_media(cells):
        endings = "; ".join(", ".join(suffixes) for suffixes in MEDIA_SUFFIXES.values())
        raise InputError(
            f"It cannot be told what the column {excerpt(name)} holds: it is named like images or meshes, but values "
            f"such as {excerpt(next(cell for cell in cells if media_suffix(cell) is None))} have none of their "
            f"endings ({endings}). If they stand for files, give paths with an ending, from the folder of the CSV on, "
            "or URLs (with the CSV option `task` set to 'image-to-image', 'text-to-image' or 'mesh-to-mesh' these need "
            "none). If they are texts, set `task` to 'text-to-text'."
        )
    kinds = [(_kind(cell, _may_be_spaced(cell)), cell) for cell in cells]
    addresses = [cell for kind, cell in kinds if kind is not None]
    address = next((cell for kind, cell in kinds if kind is Modality.TEXT), addresses[0])
    raise InputError(
        f"It cannot be told what the {name} is: {len(addresses) / len(cells):.0%} of its values are addresses such as "
        f"{excerpt(address)}, which are taken for images or meshes only where nine of ten values are addresses and "
        "most of them end like the same of the two (.jpg, .png; .off, .obj), and with blanks in them only "
        "under a name such as image_path. Set the CSV option `task` to 'text-to-text', 'image-to-image', "
        "'text-to-image' or 'mesh-to-mesh'."
    )


def _may_be_spaced(cell: str) -> bool:
    """Whether a value with blanks that ends like an image or mesh reads like a file's name, not like a sentence."""
    spaced = media_suffix(cell) is not None and _BLANK.search(cell) is not None and "\n" not in cell
    return spaced and len(cell.split()) <= _WORDS_OF_A_NAME and _OF_SENTENCES.search(cell) is None


def _kind(cell: str, blanks: bool) -> Modality | None:
    """Return the modality of an address, TEXT for a URL that ends like neither, None for what is no address.

    `blanks` says whether a path may have white space however it begins.
    """
    if _WITH_SCHEME.fullmatch(cell):
        return media_suffix(cell) or Modality.TEXT
    modality = media_suffix(cell)
    if modality is None or "\n" in cell or (not blanks and _BLANK.search(cell) and not _BEGINS_AS_PATH.match(cell)):
        return None
    return modality
