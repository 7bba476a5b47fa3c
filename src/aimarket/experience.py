"""Learning by doing: what has been produced makes producing cheaper."""

import math
from dataclasses import dataclass

from aimarket import settings as config


@dataclass
class Experience:
    """Tokens produced so far, in terms of what had been produced before the run; learning by doing."""

    before: float = 0.0  # Mtok; 0: nothing yet
    served: float = 0.0  # Mtok, since the start

    def gain(self, tokens: float, years: float, prior: float) -> None:
        """Add a step's tokens; the first of them tell what `prior` years of production before them came to.

        tokens : float, Mtok in the step
        prior  : float, years at the pace of the first step
        """
        if self.before > 0:
            self.served += tokens
        else:
            self.before = tokens / years * prior

    @property
    def log_growth(self) -> float:
        """Log of all that was ever produced over what had been when the run, or the firm, started."""
        return math.log1p(self.served / self.before) if self.before > 0 else 0.0


def learning_level(own: float, industry: float, settings: config.Technology) -> float:
    """Log tokens per GPU-hour from learning by doing.

    own, industry : float, log growth of experience
    source        : Wright (1936), Journal of the Aeronautical Sciences 3(4): a constant share per doubling
    """
    mixed = settings.learning_private * own + (1 - settings.learning_private) * industry
    return settings.learning * mixed
