"""Serves the host's requests, one message after the other."""

import errno
import inspect
import os
import queue
import signal
import sys
import threading
import traceback

from . import frameworks
from .answer import Answer
from .handler import accepted_arguments, is_async, load
from .history import History
from .protocol import Failure


def serve(connection):
    worker = Worker(connection)
    signal.signal(signal.SIGINT, worker.on_interrupt)
    threading.Thread(target=_read, args=(connection, worker), name="raworc-host", daemon=True).start()
    worker.run()


def _read(connection, worker):
    try:
        for line in connection.lines():
            worker.take(line)
    finally:
        # The host is gone, and with it all that this process is for.
        os._exit(0)


class Worker:
    def __init__(self, connection):
        self._connection = connection
        self._inbox = queue.SimpleQueue()
        self._loop = None
        self._target = None
        self._drive = None
        self._history = History()
        self._arguments = 2
        self._async = False
        # Of the message at hand; cancelled from the reading thread.
        self._lock = threading.Lock()
        self._message_id = None
        self._task = None
        self._cancelled = False
        self._cancelled_early = None
        self._interruptible = False

    def take(self, line):
        """From the reading thread."""
        if line.get("method") == "cancel":
            self._cancel(line["params"].get("message_id"))
        elif self._async:
            self._loop.call_soon_threadsafe(self._start_task, line)
        else:
            self._inbox.put(line)

    def run(self):
        """The main thread's work."""
        if not self._initialize(self._inbox.get()):
            while True:  # The host ends a worker that could not start.
                signal.pause()
        if self._async:
            while True:
                try:
                    self._loop.run_forever()
                except BaseException as error:  # A callback of the agent's raised an exit into the loop.
                    self._leave_loop(error)
        while True:
            self._handle(self._inbox.get())

    def on_interrupt(self, number, frame):
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt

    def _initialize(self, line):
        parameters = line["params"]
        sys.argv = [parameters["handler"]]
        try:
            self._target = load(parameters["path"], parameters["handler"])
            self._drive = frameworks.find(self._target)
            if self._drive is None and not callable(self._target):
                raise Failure(
                    "handler_not_found",
                    f"The handler {parameters['handler']} is of type {type(self._target).__name__}: it must be a function "
                    "(message, context) or an object of a framework that Raworc knows.",
                )
        except Failure as failure:
            self._connection.refuse(line["id"], failure.code, str(failure))
            return False
        except BaseException as error:
            code, text = _describe(error, "agent_start_failed")
            self._connection.refuse(line["id"], code, f"{parameters['handler']} could not be loaded: {text}")
            return False
        self._arguments = accepted_arguments(self._target)
        if self._drive is not None or is_async(self._target):
            self._make_loop()
            self._async = True
        self._connection.respond(line["id"], {"keeps_history": True})
        return True

    def _make_loop(self):
        # Costs a plain handler's start too much to be done for all.
        import asyncio

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)

    def _handle(self, line):
        """A handler without async: it has the main thread."""
        answer = self._begin(line)
        try:
            try:
                self._interruptible = True
                if self._cancelled:
                    raise KeyboardInterrupt
                value = self._call(line["params"])
                if inspect.isgenerator(value) or _is_iterator(value):
                    for piece in value:
                        answer.stream(piece)
                elif _needs_loop(value) or frameworks.find(value) is not None:
                    self._make_loop()
                    self._loop.run_until_complete(self._consume(value, line["params"], answer))
                else:
                    answer.finish(value)
            finally:
                self._interruptible = False
        except BaseException as error:
            self._end(line, answer, error)
        else:
            self._end(line, answer, None)

    def _start_task(self, line):
        """From the event loop."""
        answer = self._begin(line)
        task = self._loop.create_task(self._consume(self._target, line["params"], answer, called=False))
        with self._lock:
            self._task = task
            if self._cancelled:
                task.cancel()
        task.add_done_callback(lambda done: self._finish_task(done, line, answer))

    def _finish_task(self, task, line, answer):
        try:
            error = task.exception()
        except BaseException as cancelled:
            error = cancelled
        self._end(line, answer, error)

    def _leave_loop(self, error):
        # The task itself has the exception too, unless it came from elsewhere.
        if isinstance(error, SystemExit) and self._message_id is None:
            os._exit(_exit_code(error))

    async def _consume(self, value, parameters, answer, called=True):
        """Drives a handler or its result, whatever it is, to its end."""
        if not called:
            if self._drive is not None:
                return await self._drive(self._target, parameters, answer)
            value = self._call(parameters)
        if inspect.isawaitable(value):
            value = await value
        drive = frameworks.find(value)
        if drive is not None:
            await drive(value, parameters, answer)
        elif hasattr(value, "__aiter__"):
            async for piece in value:
                answer.stream(piece)
        elif _is_iterator(value):
            for piece in value:
                answer.stream(piece)
        else:
            answer.finish(value)

    def _call(self, parameters):
        return self._target(*(parameters["content"], parameters["context"])[: self._arguments])

    def _begin(self, line):
        self._history.complete(line["params"])
        with self._lock:
            self._message_id = line["params"]["message_id"]
            self._cancelled = self._cancelled_early == self._message_id
            self._task = None
        return Answer(self._connection, self._message_id)

    def _end(self, line, answer, error):
        with self._lock:
            message_id, self._message_id = self._message_id, None
            cancelled, self._task = self._cancelled, None
        if cancelled:
            self._connection.flush()
            self._connection.refuse(line["id"], "cancelled", "The message was cancelled")
        elif error is None:
            self._connection.flush()
            self._connection.respond(line["id"], answer.result())
        else:
            code, text = _describe(error, "handler_failed")
            self._connection.flush()
            self._connection.refuse(line["id"], code, text)
            if code == "agent_exited":
                os._exit(_exit_code(error))

    def _cancel(self, message_id):
        """From the reading thread."""
        with self._lock:
            if message_id != self._message_id:
                self._cancelled_early = message_id
                return
            if self._cancelled:
                return
            self._cancelled = True
            task = self._task
        if task is not None:
            self._loop.call_soon_threadsafe(task.cancel)
        elif not self._async:
            # Wakes the main thread out of what it waits for; see on_interrupt.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def _describe(error, otherwise):
    """Code and text of an exception of the agent's. Its traceback goes to the log."""
    if isinstance(error, SystemExit):
        _print_trace(error)
        return "agent_exited", f"The agent ended its own process (exit code {_exit_code(error)}); a handler should return."
    _print_trace(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", f"The session's disk is full: {error}"
    text = str(error)
    return otherwise, f"{type(error).__name__}: {text}" if text else type(error).__name__


def _print_trace(error):
    trace = error.__traceback__
    own = os.path.dirname(os.path.abspath(__file__))
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(own):
        trace = trace.tb_next
    try:
        traceback.print_exception(type(error), error, trace)
    except Exception:  # An exception whose text can't be made, or a stderr that the agent closed.
        pass


def _exit_code(error):
    if error.code is None:
        return 0
    return error.code & 0xFF if isinstance(error.code, int) else 1


def _is_iterator(value):
    return hasattr(value, "__next__") and hasattr(value, "__iter__")


def _needs_loop(value):
    return inspect.isawaitable(value) or hasattr(value, "__aiter__")
