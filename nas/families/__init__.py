"""Families of networks: from what a trial drew to a Keras model, and what is known of it.

`nas.families.family` has the contract; `in_words` are the dense and convolutional networks that
the words of a space describe, `custom` those that a function of the user's builds.
"""
