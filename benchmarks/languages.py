"""Titles of one meaning in two languages, found by each other: ``make bench-languages``.

Forty Chinese titles of things for a home, each with its English one among the forty. What is told
is how often a title's nearest neighbour in the other language is its translation.
"""

import argparse
from typing import Final

import numpy as np

from benchmarks import results
from feature_repo.encoders.encoder import Encoder, FloatMatrix
from feature_repo.encoders.registry import MINILM, MULTILINGUAL, load_encoder

PAIRS: Final = (
    ("北欧实木餐桌", "Scandinavian solid wood dining table"),
    ("可伸缩折叠餐桌", "Extendable folding dining table"),
    ("玻璃茶几", "Glass coffee table"),
    ("床头柜带抽屉", "Bedside table with drawer"),
    ("电脑书桌", "Computer desk"),
    ("布艺三人沙发", "Fabric three-seat sofa"),
    ("真皮单人沙发椅", "Leather armchair"),
    ("沙发床", "Sofa bed"),
    ("人体工学办公椅", "Ergonomic office chair"),
    ("儿童高脚餐椅", "Children's high chair"),
    ("藤编摇椅", "Rattan rocking chair"),
    ("双人床架", "Double bed frame"),
    ("记忆棉床垫", "Memory foam mattress"),
    ("婴儿床", "Baby cot"),
    ("纯棉四件套床上用品", "Cotton bedding set"),
    ("羽绒被", "Down duvet"),
    ("荞麦枕头", "Buckwheat pillow"),
    ("遮光窗帘", "Blackout curtains"),
    ("羊毛地毯", "Wool rug"),
    ("浴室防滑垫", "Non-slip bath mat"),
    ("加厚浴巾", "Thick bath towel"),
    ("水晶吊灯", "Crystal chandelier"),
    ("落地阅读灯", "Floor reading lamp"),
    ("LED护眼台灯", "LED desk lamp"),
    ("香薰蜡烛", "Scented candle"),
    ("陶瓷花瓶", "Ceramic vase"),
    ("全身穿衣镜", "Full-length mirror"),
    ("木质相框", "Wooden photo frame"),
    ("五层书架", "Bookcase with five shelves"),
    ("推拉门衣柜", "Wardrobe with sliding doors"),
    ("玄关鞋柜", "Hallway shoe cabinet"),
    ("电视柜", "TV stand"),
    ("不锈钢炒锅", "Stainless steel wok"),
    ("铸铁平底锅", "Cast iron frying pan"),
    ("骨瓷茶具套装", "Bone china tea set"),
    ("红酒杯", "Red wine glasses"),
    ("竹砧板", "Bamboo chopping board"),
    ("厨房置物架", "Kitchen storage rack"),
    ("垃圾桶带盖", "Waste bin with lid"),
    ("花园遮阳伞", "Garden parasol"),
)
REPEATS: Final = 25
"""How often the English titles are encoded to measure the speed."""


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.languages", description=__doc__)
    parser.add_argument("encoders", nargs="*", default=[MINILM, MULTILINGUAL])
    options = parser.parse_args()
    results.publish(
        "languages",
        title=f"{len(PAIRS)} titles in Chinese and English",
        rows=[row(load_encoder(name)) for name in options.encoders],
        pairs=len(PAIRS),
    )


def row(encoder: Encoder) -> results.Row:
    """One encoder's retrieval in both directions, and its speed."""
    chinese, english = (encoder.encode(list(titles)) for titles in zip(*PAIRS, strict=True))
    titles = [english for _, english in PAIRS] * REPEATS
    taken = results.seconds(lambda: encoder.encode(titles))
    return {
        "encoder": encoder.id,
        "zh → en, recall@1": recall(chinese, english, depth=1),
        "zh → en, recall@5": recall(chinese, english, depth=5),
        "en → zh, recall@1": recall(english, chinese, depth=1),
        "titles/s": round(len(titles) / taken),
    }


def recall(queries: FloatMatrix, targets: FloatMatrix, *, depth: int) -> float:
    """Share of queries (N, D) whose own target (N, D) is among the nearest by cosine."""
    similarity = queries @ targets.T
    rank = (similarity > np.diag(similarity)[:, None]).sum(axis=1)
    return round(float((rank < depth).mean()), 3)


if __name__ == "__main__":
    main()
