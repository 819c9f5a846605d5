"""A folder per class: the images or meshes in it are relevant to each other.

Accepted are `class/file.png`; ModelNet's `class/train/file.off` and `class/test/file.off`; and the folders of
torchvision's ImageFolder, `train/class/file.png` and `test/class/file.png`, where the outermost folders are named
train, test, val, valid or validation and nothing else. Such a division is passed over: all files are used, and the
split of `documents` decides what is held out. Folders below that of the class mean nothing.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import PurePosixPath

from embedtune.errors import InputError
from embedtune.records.layouts import MEDIA_SUFFIXES, Layout, Modality, media_suffix
from embedtune.records.output import Part, RowsOutput
from embedtune.records.rows import IngestReport, RowsFormat
from embedtune.records.source_kind import common_folder
from embedtune.text import excerpt, stripped

_SPLIT_FOLDERS = frozenset({"train", "test", "val", "valid", "validation"})
_COMPANION_ENDINGS = frozenset({
    ".txt", ".md", ".rst", ".xml", ".json", ".jsonl", ".yaml", ".yml", ".toml", ".csv", ".tsv", ".html", ".htm", ".pdf",
    ".ini", ".db", ".log", ".mtl", ".lnk", ".url",
})  # fmt: skip
"""Endings of notes, lists, boxes around things, materials and what file managers leave behind."""
_COMPANION_NAMES = ("readme", "license", "icon\r")
_UNREAD = "a file of a kind that is not read"
_CURE = "convert images to .jpg or .png and meshes to .off, .stl or .glb, "
_MOST_ENDINGS = 5

_Parts = tuple[str, ...]
"""The folders of a file, and its name."""


def ingest_class_folders(names: Sequence[str], origin: str, output: RowsOutput) -> IngestReport:
    """Turn the names of the files into labelled rows whose contents are addresses.

    Only names are looked at; the files are opened when their contents are loaded. The line of a row is the number of
    its file, from 1, in the order of `names`, which are relative to the folder and have '/'; the address is the name.
    Files in the folder of a class that are of no known kind are set aside; what only accompanies images or meshes, such
    as notes and lists of boxes, is ignored. `origin` is the folder's URI for messages; `output` was just opened.

    Raises:
        InputError: no images or meshes, both, files outside of class folders, one class, no class with two files, a
            class without any file that can be used, or too many files that cannot.
        StorageError: an output cannot be written.
    """
    media = {name: found for name in names if (found := media_suffix(name)) is not None}
    modality = _check_modality(origin, names, media)
    paths = {name: PurePosixPath(name).parts for name in media}
    level = _class_level(paths)
    labels = _labels(paths, level, origin)
    unread = _unread(names, list(paths.values()), level)
    used = {}
    output.begin(RowsFormat(Layout.LABELLED, (modality,), loaded=False))
    for line, name in enumerate(names, 1):
        problem = _problem(name, labels[name]) if name in labels else _UNREAD if name in unread else ""
        if problem:
            output.reject(line, problem, _shown(name))
        elif name in labels:
            used[name] = labels[name].strip()
            output.add((line, name, used[name]), len(name))
    output.is_read = True  # what was set aside says why a class is lost
    if used:
        _check_lost(origin, {**labels, **unread}, set(used.values()))
    endings = f" (not read: {_endings(unread)})" if unread else ""
    output.finish([Part("", origin + endings, len(labels) + len(unread))], "files", _CURE)
    counts = _check_classes(origin, list(used.values()))
    told = f"a folder per class, {len(counts)} classes"
    ignored = [name for name in names if name not in labels and name not in unread]
    if ignored:
        told += f", {len(ignored)} of {len(names)} files ignored: {_endings(ignored)}"
    folders = (set(PurePosixPath(name).parts[:-1]) - {label} for name, label in used.items())
    if any(names & _SPLIT_FOLDERS for names in folders):
        told += ", its folders train and test taken together"
    return IngestReport(output.rows, output.bad_rows, Layout.LABELLED, (modality,), len(labels), told)


def _unread(names: Sequence[str], media: Sequence[_Parts], level: int) -> dict[str, str]:
    """Return the files of no known kind in the folders of classes that `media` are in, with their class."""
    around = [*map(frozenset, zip(*(parts[:level] for parts in media), strict=True))]
    found = {}
    for name in names:
        parts = PurePosixPath(name).parts
        within = all(part in known | _SPLIT_FOLDERS for part, known in zip(parts, around, strict=False))
        if len(parts) >= level + 2 and within and media_suffix(name) is None and not _accompanies(parts[-1]):
            found[name] = parts[level]
    return found


def _accompanies(name: str) -> bool:
    """Tell by its name whether a file is one that lies beside images or meshes without being one."""
    return PurePosixPath(name).suffix.lower() in _COMPANION_ENDINGS or name.lower().startswith(_COMPANION_NAMES)


def _endings(names: Iterable[str]) -> str:
    """Return the endings of files with how many have each, the most frequent first."""
    counts = Counter(PurePosixPath(name).suffix.lower() or "no ending" for name in names)
    shown = ", ".join(f"{_shown(ending)} {count}" for ending, count in counts.most_common(_MOST_ENDINGS))
    return shown + (" and others" if len(counts) > _MOST_ENDINGS else "")


def _shown(name: str) -> str:
    """Return a name in UTF-8, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def _check_modality(origin: str, names: Sequence[str], media: Mapping[str, Modality]) -> Modality:
    first: dict[Modality, str] = {}
    for name, modality in media.items():
        first.setdefault(modality, name)
    if not first:
        endings = ", ".join(suffix for suffixes in MEDIA_SUFFIXES.values() for suffix in suffixes)
        there = f", its files are {_endings(names)}" if names else ""
        raise InputError(
            f"{origin} holds no images and no meshes of a kind that is read{there}. Give a folder per class with files "
            f"of {endings}."
        )
    if len(first) > 1:
        told = " and ".join(f"{excerpt(name)} is a file of kind {modality}" for modality, name in first.items())
        raise InputError(f"{origin} holds images and meshes: {told}. Give a folder with one of them.")
    return next(iter(first))


def _labels(paths: Mapping[str, _Parts], level: int, origin: str) -> dict[str, str]:
    """Return the class of every file, the name of one of the folders that it is in."""
    for name, parts in paths.items():
        if len(parts) < level + 2:
            raise InputError(
                f"{origin}: {excerpt(name)} is in no folder of a class. Put every image or mesh into a folder that is "
                "named as its class, or give a CSV of content,label."
            )
    return {name: parts[level] for name, parts in paths.items()}


def _class_level(paths: Mapping[str, _Parts]) -> int:
    """Return how many folders stand before that of the class: some around everything, and train, test and so on."""
    level = common_folder(list(paths)).count("/")
    below = {parts[level] if len(parts) > level + 1 else "" for parts in paths.values()}
    divided = below <= _SPLIT_FOLDERS
    if divided and (level == 0 or any(len(parts) > level + 2 for parts in paths.values())):
        return level + 1
    if divided or below == {""}:
        # There is one class, and its folder is around everything.
        first = next(iter(paths.values()))
        while level > 1 and first[level - 1] in _SPLIT_FOLDERS:
            level -= 1
        return max(level - 1, 0)
    return level


def _problem(name: str, label: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name is not in UTF-8"
    if name != name.strip() or not stripped(label):
        return "the name begins or ends with white space"
    return "the name contains a NUL character" if "\0" in name else ""


def _check_lost(origin: str, labels: Mapping[str, str], classes: Set[str]) -> None:
    """Refuse a folder of which a whole class is lost."""
    lost = {label.strip() for label in labels.values()} - classes - {""}
    for label in sorted(lost):
        names = [name for name, each in labels.items() if each.strip() == label]
        problem = _problem(names[0], label) or _endings(names)
        more = f" {len(lost) - 1} more classes are lost as well." if len(lost) > 1 else ""
        raise InputError(
            f"{origin}: no file of the class {excerpt(_shown(label))} can be used ({problem}).{more} "
            f"{_CURE.capitalize()}rename them, or remove the folder."
        )


def _check_classes(origin: str, classes: Sequence[str]) -> Counter[str]:
    counts = Counter(classes)
    if len(counts) == 1:
        raise InputError(
            f"{origin} holds the single class {excerpt(classes[0])}, so nothing is told apart. Give a folder that "
            "holds a folder for each of two classes or more."
        )
    if max(counts.values()) == 1:
        raise InputError(
            f"{origin} holds one file in each of {len(counts)} classes, so no two belong together. Give classes of two "
            "files or more."
        )
    return counts
