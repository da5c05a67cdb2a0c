"""What all parts of the outsider say and read in the same way."""


class Mismatch(Exception):
    """The sidecar answered something else than the contract says."""


def expect(condition, what, *seen):
    if not condition:
        raise Mismatch(f"{what}: {' | '.join(str(each) for each in seen)}")


def to_dict(amounts):
    return {amount.meter: amount.units for amount in amounts if amount.units != 0}
