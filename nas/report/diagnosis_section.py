"""What a report says about the causes of bad networks."""

from nas.analysis.diagnosis import Diagnosis, diagnose_study
from nas.report.blocks import Block, Table, Text
from nas.report.next_steps import experiment_blocks
from nas.study.record import StudyRecord


def diagnosis_blocks(record: StudyRecord, storage: str) -> list[Block]:
    found = diagnose_study(record)
    blocks: list[Block] = [Text(found.summary)]
    if found.counts:
        rows = tuple((title, str(count)) for title, count in found.counts)
        blocks.append(Table(("main cause", "trials"), rows))
    if found.best is not None:
        blocks += _one_diagnosis(
            f"The winner, trial {found.best.trial}", found.best, record, storage
        )
    elif record.complete:
        blocks.append(Text("The winner was not examined."))
    for diagnosis in found.worst:
        title = f"Trial {diagnosis.trial}, among the worst"
        blocks += _one_diagnosis(title, diagnosis, record, storage)
    return blocks


def _one_diagnosis(
    title: str, diagnosis: Diagnosis, record: StudyRecord, storage: str
) -> list[Block]:
    blocks: list[Block] = [Text(f"{title}. {diagnosis.summary}")]
    if diagnosis.causes:
        rows = tuple((cause.title, cause.evidence) for cause in diagnosis.causes)
        blocks.append(Table(("cause", "evidence"), rows))
        cause = diagnosis.causes[0]
        if cause.experiment:
            blocks += experiment_blocks(cause.experiment, record, storage)
        else:
            blocks.append(Text(f"What to try: {cause.advice}."))
    return blocks
