"""Every error that a user can cause: one family, each also the built-in that fits, so ``except ValueError`` works."""


class GLMError(Exception):
    """Base of all errors of this package. The message names the thing, what was expected, and the mend."""


class ConfigError(GLMError, ValueError):
    """A config value, key or combination that is unknown or unsupported. Nothing is guessed."""


class InputError(GLMError, ValueError):
    """Ids, masks, positions or settings of a call that cannot be right."""


class CheckpointError(GLMError, ValueError):
    """A checkpoint directory whose content is broken or does not fit its config."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """A directory, shard or file that should be there and is not."""


class ResultsNotFoundError(GLMError, FileNotFoundError):
    """Stored measurements that should be there and are not."""


class RecordError(GLMError, KeyError):
    """A tensor name that no forward pass makes, or one that was not recorded."""

    def __str__(self) -> str:  # KeyError would print the message in quotes
        return str(self.args[0]) if self.args else ""


class NotEnoughMemoryError(GLMError, MemoryError):
    """A model, prompt or batch that needs more memory than is free. Said before it is tried, with what would fit."""
