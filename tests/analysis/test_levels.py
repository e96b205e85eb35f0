from fakes import with_settings

from nas.analysis.levels import depth_word, group_trials
from nas.study.record import StudyRecord


def test_whole_numbers_lie_in_the_bin_that_names_them(wide: StudyRecord) -> None:
    for group in group_trials(wide, "width"):
        low, high = map(int, group.label.split("–"))
        assert all(low <= trial.params["width"] <= high for trial in group.complete)


def test_bounds_of_the_space_are_in_the_outer_bins(record: StudyRecord) -> None:
    other = with_settings(record, space="learning_rate: {low: 3.0e-4, high: 0.03, log: true}")
    groups = group_trials(other, "learning_rate")
    assert sum(len(group.complete) for group in groups) == 75
    assert groups[0].complete and groups[-1].complete


def test_depth_is_blocks_where_there_are_convolutions(record: StudyRecord) -> None:
    assert depth_word(record) == "depth"
    blocks = with_settings(record, space="network: cnn\nblocks: {low: 1, high: 3}")
    assert depth_word(blocks) == "blocks"
    layers = with_settings(record, space="network: cnn\nlayers: [vgg11/32, vgg19/32]")
    assert depth_word(layers) == "layers"
