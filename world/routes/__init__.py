"""A city with vans, and its dispatch service: ``python -m world.routes.service --db FILE``.

Orders, traffic, rain and what happens on the day are generated from a seed. What the vans really
meet (`city.Day`) is the truth; over HTTP the service shows only what a dispatcher can know by then.
"""
