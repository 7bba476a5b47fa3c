"""What users did in a step, in users stood for: from what the kernels count to sums by segment, region and offer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket.kernels import tables as t
from aimarket.kernels.sums import ordered_sum
from aimarket.step_tables import Step, free_use, posted, use_at

Floats = NDArray[np.float64]


@dataclass
class Totals:
    """Sums over users of one step, in users stood for. Flows are per step."""

    users: Floats  # (S, R, J) attached after choosing
    tasks: Floats  # (S, R, J)
    tokens: Floats  # (S, R, J) Mtok asked of the offer
    thinking: Floats  # (S, R, J) Mtok, part of tokens
    mix_tokens: Floats  # (S, R, J) Mtok of the reference mix: what is paid for and worked off
    wanted: Floats  # (S, R, J) Mtok, also what is declined
    declined: Floats  # (S, R, J) Mtok beyond the allowance of users who do not pay
    spend: Floats  # (S, R, J) USD for tokens, if all are served
    shortfall: Floats  # (S, R, J) USD for tokens committed to and not wanted
    adopted: Floats  # (S,)
    reviews: Floats  # (S,)
    attached_before: Floats  # (S, F) users with a router left out, as among leavers
    leavers: Floats  # (S, F)
    abandonments: Floats  # (S,) leavers who take no other provider
    depth: Floats  # (S,) summed over attached users, as are the next two
    tenure: Floats  # (S,)
    switching_cost: Floats  # (S,)
    free: Floats  # (S,) attached users who do not pay
    routed: Floats  # (S,) attached users with a router
    contracted: Floats  # (S,) attached users under contract
    task_elasticity: Floats  # (S,) summed over tokens asked for, as is the next
    thinking_elasticity: Floats  # (S,) of tokens a task


def totals(step: Step, tally: t.Tally) -> Totals:
    """What the population did, from what its simulated users counted.

    At a posted price use is proportional to a user's own size, so that sizes are enough; see `kernels.using`.
    """
    menu, segments = step.menu, step.segments
    s, j = len(segments.names), len(menu.names)
    weight = segments.weight
    cube = np.moveaxis(tally.by_offer.reshape(s, -1, j, t.OFFER_COLUMNS), -1, 0) * weight[:, None, None]
    stratum = (tally.by_stratum.reshape(s, -1, t.STRATUM_COLUMNS).sum(axis=1) * weight[:, None]).T

    def each(table: Floats) -> Floats:  # (..., S, J) for every region
        return table[..., :, None, :]

    asked = posted(menu) * menu.mix
    use, free = use_at(step, asked), free_use(step)
    sizes = cube[[t.OWN_SIZE, t.NEW_SIZE]]  # (2, S, R, J)

    def at_posted(per_size: Floats) -> Floats:
        own, new = sizes * each(per_size)
        return own + new

    free_tasks = cube[t.FREE_TOKENS] / each(segments.tokens_per_task[:, None] + free.thinking)
    tokens = at_posted(use.tokens) + cube[t.FREE_TOKENS] + cube[t.SIGNED_TOKENS]
    elasticities = (
        at_posted(use.tokens * use.task_elasticity) + cube[t.SIGNED_TASK_ELASTICITY],
        at_posted(use.tasks * use.thinking * use.thinking_elasticity) + cube[t.SIGNED_THINKING_ELASTICITY],
    )

    def by_segment(values: Floats) -> Floats:
        return ordered_sum(ordered_sum(values))

    def by_owner(values: Floats) -> Floats:  # (S, R, J) to (S, F)
        owned = menu.provider == np.arange(len(menu.providers))[:, None]
        return ordered_sum(ordered_sum(values, 1)[:, None] * owned)

    return Totals(
        users=cube[t.OWN] + cube[t.NEW] + cube[t.FREE] + cube[t.SIGNED],
        tasks=at_posted(use.tasks) + free_tasks + cube[t.SIGNED_TASKS],
        tokens=tokens,
        thinking=at_posted(use.tasks * use.thinking) + free_tasks * each(free.thinking) + cube[t.SIGNED_THINKING],
        mix_tokens=tokens * each(menu.mix),
        wanted=tokens + cube[t.FREE_DECLINED],
        declined=cube[t.FREE_DECLINED],
        spend=at_posted(use.tokens * asked) + cube[t.SIGNED_SPEND],
        shortfall=cube[t.SIGNED_SHORTFALL],
        adopted=stratum[t.ADOPTED],
        reviews=stratum[t.REVIEWS],
        attached_before=by_owner(cube[t.BEFORE]),
        leavers=by_owner(cube[t.LEFT]),
        abandonments=stratum[t.ABANDONMENTS],
        depth=stratum[t.DEPTH],
        tenure=stratum[t.TENURE],
        switching_cost=stratum[t.SWITCHING_COST],
        free=by_segment(cube[t.FREE]),
        routed=stratum[t.ROUTED],
        contracted=by_segment(cube[t.SIGNED]),
        task_elasticity=by_segment(elasticities[0]),
        thinking_elasticity=by_segment(elasticities[1]),
    )
