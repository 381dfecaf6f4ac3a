from dataclasses import replace
from pathlib import Path

from actors.training.notice import Board, Notice, Placed, publish
from actors.training.versions import Standing, Version

ONE = Version(
    id="one",
    base_model="m",
    base_model_hash="",
    parent=None,
    created_at=0.0,
    method="made",
    events=(),
    files={},
    path="/home/adapters/one",
)


def test_what_is_published_is_seen_by_the_next_look_of_every_board(tmp_path: Path) -> None:
    boards = [Board(tmp_path), Board(tmp_path)]
    assert [board.look() for board in boards] == [Notice()] * 2
    own = replace(ONE, id="own", path="/home/adapters/own", scope="ann")
    standings = [
        Standing(revision=1, common=ONE),
        Standing(revision=2, common=ONE, personal={"ann": own}, shadow=own, share=0.25),
        Standing(revision=3),
    ]
    placed = Placed("own", Path("/home/adapters/own"))
    for standing in standings:
        publish(tmp_path, standing)
        for board in boards:
            seen = board.look()
            assert (seen.revision, seen.common) == (
                standing.revision,
                standing.common and Placed("one", Path("/home/adapters/one")),
            )
            assert seen.personal == ({"ann": placed} if standing.personal else {})
            assert (seen.shadow, seen.share) == (standing.shadow and placed, standing.share)
            assert board.look() is seen
