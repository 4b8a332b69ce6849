"""A bar on a terminal, a few lines elsewhere."""

import io
import logging
import time

from rich.console import Console

from monarch_core.training.progress import show_progress


def train(console, n_epochs=4, first_epoch=1):
    with show_progress(n_epochs, 2, first_epoch=first_epoch, console=console) as display:
        for epoch in range(first_epoch, n_epochs + 1):
            for _ in range(2):
                display.step(epoch, 0.25)
            display.epoch(epoch, 0.5, 0.125)


def test_a_terminal_shows_epoch_time_left_loss_and_error():
    text = io.StringIO()
    train(Console(file=text, force_terminal=True, width=120))
    shown = text.getvalue()
    assert "epoch 4/4" in shown
    assert "left" in shown
    assert "train loss 0.5, validation error 0.125" in shown


def test_elsewhere_the_first_and_last_epoch_have_a_line(caplog):
    text = io.StringIO()
    with caplog.at_level(logging.INFO):
        train(Console(file=text))
    assert text.getvalue() == ""
    assert [record.message for record in caplog.records] == [
        "epoch 1/4: train loss 0.5, validation error 0.125, 0:00:00 left",
        "epoch 4/4: train loss 0.5, validation error 0.125, 0:00:00 left",
    ]


def test_slow_epochs_have_a_line_each_with_the_time_left(caplog, monkeypatch):
    seconds = iter([0.0, 60.0, 120.0, 180.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    with caplog.at_level(logging.INFO):
        train(Console(file=io.StringIO()), n_epochs=5, first_epoch=3)
    assert [record.message.rpartition(", ")[2] for record in caplog.records] == [
        "0:02:00 left",
        "0:01:00 left",
        "0:00:00 left",
    ]
