"""What a reader of a report can type next."""

from nas.about import DEFAULT_STORAGE
from nas.analysis.experiment import Experiment
from nas.proposal import call_of, command_of, wrap_command
from nas.report.blocks import Block, Code, Text
from nas.study.record import StudyRecord
from nas.study.storage import with_storage

CODE_WIDTH = 84  # characters of a command, for which a page has room on paper, too


def experiment_blocks(experiment: Experiment, record: StudyRecord, storage: str) -> list[Block]:
    """What to type for an experiment."""
    command = command_of(experiment, record)
    if command:
        return [command_block(command, storage)]
    called = Text("In Python, where study is what nas.search returned:")
    return [called, Code(call_of(experiment, CODE_WIDTH))]


def command_block(command: str, storage: str = DEFAULT_STORAGE) -> Code:
    return Code(wrap_command(with_storage(command, storage), CODE_WIDTH))
