"""What can be wrong with a promotion, or with a code that somebody types."""

from quntedge.kit.errors import Conflict, Gone, Malformed, NotFound


class PromotionCodeMalformed(Malformed):
    """What was typed cannot be a code at all: too short, too long, or with characters that no code has."""

    code = "promotion_code_malformed"
    title = "This is not a promotion code"


class PromotionCodeUnknown(NotFound):
    """No promotion has this code."""

    code = "promotion_code_unknown"
    title = "There is no such promotion code"


class PromotionNotStarted(Conflict):
    """The promotion begins later. `starts_at` in the problem says when."""

    code = "promotion_not_started"
    title = "This promotion has not begun"


class PromotionExpired(Gone):
    """The promotion is over, or was withdrawn."""

    code = "promotion_expired"
    title = "This promotion is over"


class PromotionUsedUp(Conflict):
    """Every use of the promotion or of this code is taken, or held by a checkout that is still open."""

    code = "promotion_used_up"
    title = "This code has no uses left"


class PromotionUsedByCustomer(Conflict):
    """The customer has used the promotion as often as one customer may."""

    code = "promotion_used_already"
    title = "You have used this promotion already"


class PromotionHeld(Conflict):
    """The customer holds a use in another checkout that is still open. `checkout_id` in the problem names it."""

    code = "promotion_held"
    title = "Another checkout of yours holds this code"


class PromotionFirstPurchaseOnly(Conflict):
    """The promotion is for new customers, and this one has bought before."""

    code = "promotion_first_purchase_only"
    title = "This promotion is for a first purchase"


class PromotionNotForPlan(Conflict):
    """The promotion is for other plans. `plans` in the problem lists their codes."""

    code = "promotion_not_for_plan"
    title = "This promotion is not for this plan"


class PromotionNotForCurrency(Conflict):
    """The promotion takes nothing off a price in this currency. `currencies` in the problem lists those it does."""

    code = "promotion_not_for_currency"
    title = "This promotion is not for this currency"


class PromotionNotFound(NotFound):
    """No promotion has this name."""

    code = "promotion_not_found"
    title = "There is no such promotion"


class PromotionArchived(Conflict):
    """An archived promotion gets no new codes."""

    code = "promotion_archived"
    title = "This promotion is archived"


class PromotionCodeTaken(Conflict):
    """Another promotion has a code that reads the same."""

    code = "promotion_code_taken"
    title = "This promotion code exists already"


class InvalidPromotion(Malformed):
    """A promotion that cannot be: `errors` says which field and what to write instead."""

    code = "invalid_promotion"
    title = "The promotion cannot be used"
