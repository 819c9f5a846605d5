"""The column names that say what a column holds."""

import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum


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
