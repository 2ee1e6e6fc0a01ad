"""A small Qwen-Image-Edit of the same architecture, made here instead of downloaded.

What it is: ``architecture`` (sizes and parts), ``tokenizer``, ``create`` (a tiny one with random
weights, for tests), ``pretrained`` (the trained one that ships, in ``weights/``).

What it learns from: ``vocabulary``, ``drawing`` (a scene decides every pixel), ``changes`` (what
can be asked for), ``wording`` and ``phrases`` (how), ``scenes`` (pairs), ``samples``.

How it learns: ``train`` (the command), ``stage`` (one stage's time, weights, resumption),
``autoencoder_training``, ``text_training``, ``flow_training``, ``few_step_training``, with
``single_frame``, ``joint_attention`` and ``latent_pool`` to make it quick; ``curve`` draws it.

How well: ``evaluate`` (the command), ``scoring``, ``glyphs``.
"""
