import os
import signal
import threading

import pytest

from facecctv.desktop.ending import on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_from_a_thread_while_the_main_one_is_busy(number):
    before = signal.getsignal(number)
    closed = threading.Event()
    caller = []

    def close():
        caller.append(threading.current_thread())
        closed.set()

    with on_signals(close):
        os.kill(os.getpid(), number)
        assert closed.wait(10)
    assert caller[0] is not threading.main_thread()
    assert signal.getsignal(number) is before


def test_without_a_signal_nothing_happens_and_all_is_as_before():
    before = signal.set_wakeup_fd(-1)
    count = threading.active_count()
    with on_signals(lambda: pytest.fail("nobody asked")):
        pass
    assert threading.active_count() == count
    assert signal.set_wakeup_fd(-1) == before == -1


def test_the_end_of_the_block_is_reached_when_it_fails():
    with pytest.raises(KeyError), on_signals(lambda: None):
        raise KeyError
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
