"""What a request may ask for."""

from pydantic import Field, PositiveFloat, PositiveInt

from serve_app.config.section import Section


class LimitsConfig(Section):
    """What a request may send; checked before an image is decoded."""

    body_bytes: PositiveInt = Field(64 * 2**20, description="Whole request body, bytes.")
    image_bytes: PositiveInt = Field(25 * 2**20, description="One encoded image, bytes.")
    image_pixels: PositiveInt = Field(40_000_000, description="Width times height.")
    min_side: PositiveInt = Field(32, description="Shortest side, pixels.")
    max_side: PositiveInt = Field(10_000, description="Longest side, pixels.")
    max_aspect: PositiveFloat = Field(10.0, description="Longer side over shorter side.")
    prompt_characters: PositiveInt = Field(4_000, description="Characters after NFC.")
    max_steps: PositiveInt = Field(200, description="Largest num_inference_steps.")
    request_s: PositiveFloat = Field(
        540.0, description="Longest time for one edit, seconds; below Serve's request_timeout_s."
    )
    max_n: PositiveInt = Field(8, description="Largest `n`.")
    max_priority: int = Field(
        9, ge=5, le=9, description="Highest `priority` of requests; 5 is everybody's by default."
    )
    decode_s: PositiveFloat = Field(5.0, description="Deadline to decode one image, seconds.")
    decode_processes: PositiveInt = Field(1, description="Decoding processes per ingress.")
    pending_decodes: PositiveInt = Field(
        64, description="Different images per ingress decoding or waiting for it; more get 429."
    )
    decoded_cache_bytes: int = Field(
        64 * 2**20, ge=0, description="Recently decoded inputs kept per ingress, bytes."
    )
