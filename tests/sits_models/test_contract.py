import torch

from sits_models.contract import Sample, collate


def _sample(dates: int, positions: int, region: int) -> Sample:
    return Sample(
        image=torch.full((2, dates, positions), 0.5),
        dates=torch.arange(dates) + 100,
        clear=torch.ones(dates, positions, dtype=torch.bool),
        index=torch.arange(positions),
        yx=torch.ones(positions, 2),
        region=torch.tensor(region),
        label=torch.tensor(3),
        mask=torch.zeros(positions, dtype=torch.int64),
    )


def test_collate_pads_at_the_tail_by_hand() -> None:
    batch = collate([_sample(3, 2, 7), _sample(1, 4, 8)])
    assert batch["image"].shape == (2, 2, 3, 4)
    assert batch["image"][0, 0].tolist() == [[0.5, 0.5, 0, 0]] * 3
    assert batch["image"][1, 0].tolist() == [[0.5] * 4, [0] * 4, [0] * 4]
    assert batch["index"].tolist() == [[0, 1, -1, -1], [0, 1, 2, 3]]
    assert batch["mask"][0].tolist() == [0, 0, -1, -1]
    assert batch["pad_mask"].tolist() == [[True] * 3, [True, False, False]]
    assert batch["length"].tolist() == [3, 1]
    assert batch["dates"].tolist() == [[100, 101, 102], [100, 0, 0]]
    assert not batch["clear"][0, :, 2:].any()
    assert not batch["clear"][1, 1:].any()
    assert batch["yx"].shape == (2, 4, 2)
    assert batch["region"].tolist() == [7, 8]


def test_samples_of_one_shape_are_only_stacked() -> None:
    batch = collate([_sample(3, 2, 0), _sample(3, 2, 1)])
    assert batch["pad_mask"].all()
    torch.testing.assert_close(batch["image"][1], _sample(3, 2, 1)["image"])
