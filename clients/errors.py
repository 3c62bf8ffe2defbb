"""Errors of the clients."""


class ClientError(Exception):
    """What the user can do something about."""
