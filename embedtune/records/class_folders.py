"""A folder per class: the images or meshes in it are relevant to each other.

Accepted are `class/file.png`; ModelNet's `class/train/file.off` and `class/test/file.off`; and the folders of
torchvision's ImageFolder, `train/class/file.png` and `test/class/file.png`, where the outermost folders are named
train, test, val, valid or validation and nothing else. Such a division is passed over: all files are used, and the
split of `documents` decides what is held out. Folders below that of the class mean nothing.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from embedtune.errors import InputError
from embedtune.records.addresses import MEDIA_SUFFIXES, media_suffix
from embedtune.records.kinds import common_folder
from embedtune.records.layouts import Layout, Modality
from embedtune.records.quarantine import Part, QuarantineWriter
from embedtune.records.report import IngestReport
from embedtune.records.rows import RowsFormat, open_rows
from embedtune.storage.atomic import atomic_path
from embedtune.text import excerpt

_SPLIT_FOLDERS = frozenset({"train", "test", "val", "valid", "validation"})


def ingest_class_folders(
    names: Sequence[str], origin: str, rows: Path, quarantine: Path, max_bad_share: float = 0.01
) -> IngestReport:
    """Turn the names of the files into labelled rows whose contents are addresses.

    Only names are looked at; the files are opened when their contents are loaded. The line of a row is the number of
    its file, from 1, in the order of `names`; the address is the name.

    Args:
        names: Paths of the files relative to the folder, with '/'.
        origin: URI of the folder, for messages.
        rows: Rows file to write. It appears only if nothing is raised.
        quarantine: Quarantine file to write: files whose names cannot be used.
        max_bad_share: Largest accepted share of these among the images or meshes, 0..1.

    Raises:
        InputError: no images or meshes, both, files outside of class folders, one class, no class with two files, or
            too many names that cannot be used.
        StorageError: an output cannot be written.
    """
    media = [(line, name, found) for line, name in enumerate(names, 1) if (found := media_suffix(name)) is not None]
    modality = _check_modality(origin, [(name, found) for _, name, found in media])
    labels = _labels([name for _, name, _ in media], origin)
    lines, addresses, classes = [], [], []
    with atomic_path(quarantine) as part, part.open("w", encoding="utf-8", newline="") as file:
        rejected = QuarantineWriter(file)
        for (line, name, _), label in zip(media, labels, strict=True):
            problem = _problem(name, label)
            if problem:
                rejected.add(line, problem, name.encode("utf-8", "backslashreplace").decode())
                continue
            lines.append(line)
            addresses.append(name)
            classes.append(label.strip())
    rejected.check_shares([Part("", origin, len(media))], max_bad_share, quarantine, "names of files")
    counts = _check_classes(origin, classes)
    rows_format = RowsFormat(Layout.LABELLED, (modality,), loaded=False)
    with atomic_path(rows) as part, open_rows(part, rows_format) as writer:
        writer.write((lines, addresses, classes))
    ignored = len(names) - len(media)
    told = f"a folder per class, {len(counts)} classes" + (f", {ignored} other files ignored" if ignored else "")
    folders = (set(PurePosixPath(name).parts[:-1]) - {label} for name, label in zip(addresses, classes, strict=True))
    if any(names & _SPLIT_FOLDERS for names in folders):
        told += ", its folders train and test taken together"
    return IngestReport(len(lines), rejected.count, Layout.LABELLED, (modality,), len(media), told)


def _check_modality(origin: str, media: Sequence[tuple[str, Modality]]) -> Modality:
    first: dict[Modality, str] = {}
    for name, modality in media:
        first.setdefault(modality, name)
    if not first:
        endings = ", ".join(suffix for suffixes in MEDIA_SUFFIXES.values() for suffix in suffixes)
        raise InputError(f"{origin} holds no images and no meshes. Give a folder per class with files of {endings}.")
    if len(first) > 1:
        told = " and ".join(f"{excerpt(name)} is a file of kind {modality}" for modality, name in first.items())
        raise InputError(f"{origin} holds images and meshes: {told}. Give a folder with one of them.")
    return next(iter(first))


def _labels(names: Sequence[str], origin: str) -> list[str]:
    """Return the class of every file, the name of one of the folders that it is in."""
    paths = [PurePosixPath(name).parts for name in names]
    level = _class_level(names, paths)
    for name, parts in zip(names, paths, strict=True):
        if len(parts) < level + 2:
            raise InputError(
                f"{origin}: {excerpt(name)} is in no folder of a class. Put every image or mesh into a folder that is "
                "named as its class, or give a CSV of content,label."
            )
    return [parts[level] for parts in paths]


def _class_level(names: Sequence[str], paths: Sequence[tuple[str, ...]]) -> int:
    """Return how many folders stand before that of the class: some around everything, and train, test and so on."""
    level = common_folder(names).count("/")
    below = {parts[level] if len(parts) > level + 1 else "" for parts in paths}
    divided = below <= _SPLIT_FOLDERS
    if divided and (level == 0 or any(len(parts) > level + 2 for parts in paths)):
        return level + 1
    if divided or below == {""}:
        # There is one class, and its folder is around everything.
        while level > 1 and paths[0][level - 1] in _SPLIT_FOLDERS:
            level -= 1
        return max(level - 1, 0)
    return level


def _problem(name: str, label: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "the name is not in UTF-8"
    if name != name.strip() or not label.strip():
        return "the name begins or ends with white space"
    return "the name contains a NUL character" if "\0" in name else ""


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
