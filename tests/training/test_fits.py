"""The table of what goes together, whole."""

import numpy as np
import pytest

from embedtune.documents.schema import RELEVANCE_SCHEMA
from embedtune.documents.shards.tables import write_manifest
from embedtune.errors import ConfigError, InputError
from embedtune.models.contents import Contents
from embedtune.models.roles import EncodingRole
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.training.config import LOSSES, BatchKind, FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import (
    check_decides_alike,
    check_fits,
    check_tower,
    check_trainable,
    column_roles,
    fitting_losses,
    plan_batches,
)
from embedtune.training.label_batches import LabelBatches
from embedtune.training.options import TrainOptions
from embedtune.training.pair_batches import PairBatches, ScoredBatches

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH
PAIRS, LABELS, SCORED = (
    [name for name, kind in LOSSES.items() if kind is asked]
    for asked in (BatchKind.PAIRS, BatchKind.LABELS, BatchKind.SCORED)
)
FITS = {
    Layout.LABELLED: {*PAIRS, *LABELS},
    Layout.PAIRS: {*PAIRS, *LABELS},
    Layout.MATCHES: {*PAIRS, *LABELS},
    Layout.BEIR: {*PAIRS, *LABELS},
    Layout.TEXT_IMAGE: {*PAIRS},
    Layout.SCORED: {*SCORED},
    Layout.PLAIN: set(),
}
MODALITIES = {Layout.TEXT_IMAGE: (TEXT, IMAGE), Layout.LABELLED: (IMAGE,), Layout.PLAIN: (TEXT,)}


@pytest.mark.parametrize("layout", FITS)
@pytest.mark.parametrize("loss", LOSSES)
def test_what_fits_and_what_is_said_of_the_rest(layout, loss):
    assert set(fitting_losses(layout)) == FITS[layout]
    modalities = MODALITIES.get(layout, (TEXT, TEXT))
    if loss in FITS[layout]:
        check_fits(layout, modalities, loss)
        return
    with pytest.raises(InputError) as refused:
        check_fits(layout, modalities, loss)
    told = str(refused.value)
    assert f"'{layout}'" in told
    assert all(fitting in told for fitting in FITS[layout])
    assert (loss in told) == bool(FITS[layout])


@pytest.mark.parametrize(
    ("modalities", "tower", "message"),
    [
        ((TEXT, TEXT), "clip-vision", "reads images alone, but the data hold texts. What fits: clip-text."),
        ((IMAGE,), "clip-text", "reads texts alone, but the data hold images. What fits: clip-vision."),
        ((TEXT, IMAGE), "clip-text", "reads texts alone, but the data hold texts and images. What fits: ''."),
        ((MESH,), "clip-vision", "reads images alone, but the data hold meshes. What fits: ''."),
        ((TEXT,), "clip-text", ""),
        ((IMAGE, IMAGE), "clip-vision", ""),
        ((TEXT, IMAGE), "", ""),
    ],
)
def test_a_tower_reads_all_of_the_data(modalities, tower, message):
    if not message:
        check_tower(modalities, tower)
        return
    with pytest.raises(InputError) as refused:
        check_tower(modalities, tower)
    assert str(refused.value) == f"model_options: select_model is {tower!r}, which {message}"


def labelled() -> TrainingSet:
    return TrainingSet(Contents.of_texts(list("abcdefgh")), np.arange(8) // 2)


def paired() -> TrainingSet:
    return TrainingSet(Contents.of_texts(list("abcdefgh")), np.arange(8) // 2, np.arange(8).reshape(4, 2))


def scored() -> TrainingSet:
    scores = np.array([0, 0.5, 1, 0.25], np.float32)
    return TrainingSet(
        Contents.of_texts(list("abcdefgh")), np.zeros(8, np.int64), np.arange(8).reshape(4, 2), scores=scores
    )


KINDS = {BatchKind.LABELS: LabelBatches, BatchKind.PAIRS: PairBatches, BatchKind.SCORED: ScoredBatches}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_gets_the_batches_it_needs(name):
    examples = scored() if name in SCORED else labelled()
    plan = plan_batches(examples, FinetuneConfig(loss=name, batch_size=8, train_options='{"items_per_label": 2}'))
    assert type(plan) is KINDS[LOSSES[name]]
    for batch in plan.epoch(0):
        labels = examples.labels[batch]
        if LOSSES[name] is BatchKind.PAIRS:
            assert (labels[:, 0] == labels[:, 1]).all()
        elif LOSSES[name] is BatchKind.LABELS:
            assert sorted(np.bincount(labels[:, 0])) == [2, 2, 2, 2]


QUERY, DOCUMENT = EncodingRole.QUERY, EncodingRole.DOCUMENT


@pytest.mark.parametrize(
    ("examples", "loss", "roles"),
    [
        (labelled(), "SupConLoss", (QUERY,)),
        (labelled(), "MultipleNegativesRankingLoss", (QUERY, QUERY)),
        (paired(), "MultipleNegativesRankingLoss", (QUERY, DOCUMENT)),
        (paired(), "SupConLoss", (QUERY,)),
        (scored(), "CoSENTLoss", (QUERY, QUERY)),
    ],
)
def test_roles_of_columns(examples, loss, roles):
    assert column_roles(examples, plan_batches(examples, FinetuneConfig(loss=loss, batch_size=8))) == roles


def manifest(folder, layout, modalities, loaded=True):
    judged = None if layout in (Layout.LABELLED, Layout.PLAIN) else RELEVANCE_SCHEMA.empty_table()
    write_manifest(folder, RowsFormat(layout, modalities, loaded), (), judged, "")


@pytest.mark.parametrize(
    ("layout", "modalities"),
    [
        (Layout.LABELLED, (TEXT,)),
        (Layout.LABELLED, (IMAGE,)),
        (Layout.PAIRS, (MESH, MESH)),
        (Layout.BEIR, (TEXT, TEXT)),
        (Layout.SCORED, (TEXT, TEXT)),
        (Layout.TEXT_IMAGE, (TEXT, IMAGE)),
    ],
)
def test_what_can_be_trained_on(tmp_path, layout, modalities):
    manifest(tmp_path, layout, modalities)
    check_trainable(tmp_path)


def test_texts_alone_teach_nothing(tmp_path):
    manifest(tmp_path, Layout.PLAIN, (TEXT,))
    with pytest.raises(InputError, match=r"layout 'plain', which is texts without labels.*embedtune push"):
        check_trainable(tmp_path)


def test_addresses_teach_nothing(tmp_path):
    manifest(tmp_path, Layout.LABELLED, (IMAGE,), loaded=False)
    with pytest.raises(InputError, match=r"only the addresses of the contents \(image\) are there.*convert_to_blob"):
        check_trainable(tmp_path)


def test_a_loss_that_does_not_fit_the_documents(tmp_path):
    manifest(tmp_path, Layout.SCORED, (TEXT, TEXT))
    check_trainable(tmp_path, "CoSENTLoss")
    with pytest.raises(InputError, match="SupConLoss does not fit data of the layout 'scored'"):
        check_trainable(tmp_path, "SupConLoss")


def test_epochs_are_compared_by_what_decides():
    asked = TrainOptions(validation_share=0.1, validation_metric="map_at_20")
    check_decides_alike(asked, "map_at_20")
    check_decides_alike(TrainOptions(validation_metric="map_at_20"), "ndcg_at_10")
    with pytest.raises(ConfigError, match=r"validation_metric is .map_at_20., but eval_metric, .*, is .ndcg_at_10.\."):
        check_decides_alike(asked, "ndcg_at_10")
