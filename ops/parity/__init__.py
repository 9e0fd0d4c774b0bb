"""Two environments compared: every difference between their stacks, and the key of environment.yaml that it is from.

One environment's file is changed into the other's key by key, and each variant is synthesized (stacks/variants.py).
What a step changes comes from its key. An environment under another name must come out the same but for the name: what
does not is a difference that no file explains.
"""
