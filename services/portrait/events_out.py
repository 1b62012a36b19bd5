"""What portrait says, on which topics."""

from services.contracts.portrait import (
    CustomerAssigned,
    CustomerProfileChanged,
    CustomerReclassified,
    EfficiencyScored,
    MonthlyUsageComputed,
    ScoreDisputed,
    UsageWarningCleared,
    UsageWarningRaised,
)
from services.kernel.broker import TopicSpec

PUBLISHES = (
    CustomerProfileChanged,
    EfficiencyScored,
    CustomerReclassified,
    MonthlyUsageComputed,
    ScoreDisputed,
    CustomerAssigned,
    UsageWarningRaised,
    UsageWarningCleared,
)
OWN_TOPICS = (
    TopicSpec(name="portrait-customers", compacted=True),
    TopicSpec(name="portrait-scores"),
    TopicSpec(name="portrait-usage"),
    TopicSpec(name="portrait-advice"),
)
