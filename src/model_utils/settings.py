"""The keys of a configuration with their types, for readers and mypy; a test holds them equal to the default file's."""

from __future__ import annotations


class Settings:
    """What a configuration holds, in the order and groups of default_config.yaml."""

    device_target: str
    device_id: int
    is_distributed: bool
    amp_level: str
    is_fp32: bool
    loss_scale_mode: str
    sync_bn: bool
    dataset_sink_mode: bool
    cpu_operators: str

    train_data_dir: str
    test_data_dir: str
    validation_split: float
    image_size: int
    crop_pct: float
    interpolation: str
    crop_min_area: float
    flip_probability: float
    vertical_flip: float
    color_jitter: float
    num_parallel_workers: int
    recursive: bool
    bad_images: str
    max_image_pixels: int

    auto_augment: str
    rand_augment: int
    rand_augment_layers: int
    mixup: float
    cutmix: float
    random_erasing: float

    optimizer: str
    sampler: str
    class_weights: str
    gradient_accumulation: int
    clip_grad_norm: float
    ema_decay: float
    dropout_rate: float
    weight_decay_filter: str

    max_steps: int
    seed: int
    pretrained: str
    initial_checkpoint: str
    freeze: str
    head_lr_scale: float
    layer_decay: float
    cooldown_epochs: int
    scale_lr: bool
    resume: str
    more_epochs: int
    save_checkpoint_steps: int
    eval_while_train: bool
    eval_interval: int
    best_metric: str
    early_stopping: int
    log_steps: int
    log_dir: str
    show_batch: str
    dry_run: bool
    enable_profiling: bool
    debug: bool

    checkpoint_path: str
    use_average: bool
    onnx_path: str
    class_map: str
    eval_report: str
    eval_engine: str

    ckpt_file: str
    export_batch_size: int  # batch_size at the top level
    width: int
    height: int
    file_name: str
    file_format: str
    mindir_version: int
    dynamic_batch: bool
    onnx_precision: str

    enable_modelarts: bool
    data_url: str
    train_url: str
    checkpoint_url: str
    data_path: str
    output_path: str
    load_path: str
    modelarts_dataset_unzip_name: str
    folder_name_under_zip_file: str

    # Those of the section of the device.
    num_classes: int
    batch_size: int
    loss_scale: float
    momentum: float
    weight_decay: float
    epoch_size: int
    save_checkpoint: bool
    save_checkpoint_epochs: int
    keep_checkpoint_max: int
    save_checkpoint_path: str
    warmup_epochs: int
    lr_decay_mode: str
    use_label_smooth: bool
    label_smooth_factor: float
    finish_epoch: int
    lr_init: float
    lr_max: float
    lr_end: float
