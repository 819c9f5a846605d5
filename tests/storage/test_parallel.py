import threading
import time

import pytest

from embedtune.storage.parallel import transfer_all


def test_every_item_is_done_a_few_at_a_time():
    done, running, most = [], [], []

    def work(item, advance):
        running.append(item)
        most.append(len(running))
        time.sleep(0.005)
        advance(item)
        running.remove(item)

    transfer_all(work, range(20), done.append)
    assert sorted(done) == list(range(20))
    assert 2 <= max(most) <= 4
    transfer_all(work, [], done.append)


def test_the_first_error_ends_the_others():
    ended, begun = [], []

    def work(item, advance):
        begun.append(item)
        if item == 1:
            raise ValueError("the first")
        try:
            for _ in range(1000):
                advance(1)
                time.sleep(0.005)
        finally:
            ended.append(item)

    start = time.monotonic()
    with pytest.raises(ValueError, match="the first"):
        transfer_all(work, range(100), lambda _: None)
    assert time.monotonic() - start < 2
    assert sorted(ended) == [item for item in sorted(begun) if item != 1]
    assert len(begun) <= 8


def test_one_thread_at_a_time_reports():
    inside, met = threading.Lock(), []

    def advance(count):
        met.append(not inside.acquire(blocking=False))
        time.sleep(0.0005)
        inside.release()

    transfer_all(lambda item, report: [report(1) for _ in range(10)], range(8), advance)
    assert len(met) == 80
    assert not any(met)
