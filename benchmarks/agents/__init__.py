"""What the deciding functions of the agents come to on real data of the same form."""
