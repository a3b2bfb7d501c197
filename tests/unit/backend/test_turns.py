"""What is done once at the end of a turn of the event loop."""

import asyncio

from backend.turns import EndOfTurn


def test_it_is_done_once_at_the_end_of_each_turn_in_which_it_was_asked_for() -> None:
    done: list[str] = []

    async def turns() -> None:
        end = EndOfTurn(lambda: done.append("end"))
        for number in range(2):
            for _ in range(3):
                end.ask()
                done.append(f"turn {number}")
            await asyncio.sleep(0)

    asyncio.run(turns())
    assert done == ["turn 0"] * 3 + ["end"] + ["turn 1"] * 3 + ["end"]


def test_it_is_done_at_once_where_no_loop_runs() -> None:
    done: list[str] = []
    EndOfTurn(lambda: done.append("end")).ask()
    assert done == ["end"]


def test_a_loop_that_ended_before_its_turn_did_holds_nothing_up() -> None:
    done: list[str] = []
    end = EndOfTurn(lambda: done.append("end"))

    async def ask_and_wait() -> None:
        end.ask()
        await asyncio.sleep(0)

    left = asyncio.new_event_loop()
    left.call_soon(left.stop)
    left.call_soon(end.ask)
    left.run_forever()
    left.close()
    assert done == []
    asyncio.run(ask_and_wait())
    assert done == ["end"]
    end.ask()
    assert done == ["end"] * 2
