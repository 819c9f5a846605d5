"""The process of one step of a local run; started by `pipelines.local_child`."""

import sys

from embedtune.importing import end_without_last_look
from pipelines.local_process import end_with_caller


def main() -> None:
    """Run kfp's executor with this process's arguments, for no longer than the run's caller lives."""
    end_with_caller()
    end_without_last_look()
    from kfp.dsl.executor_main import executor_main  # takes a second, in which the caller may be killed

    executor_main()


if __name__ == "__main__":
    sys.exit(main())
