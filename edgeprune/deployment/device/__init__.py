"""What a deployment does on the device itself: Python 3.9 and its standard library, nothing else.

The host sends these modules with every request (:mod:`edgeprune.deployment.device_link`), so that
nothing has to be installed first, and an old program on the device is never in the way.
"""
