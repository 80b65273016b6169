import threading

import eldc
import numpy as np
import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, tables
from validation.identities import hashed
from validation.languages import NAMES, SAMPLE, foreign, language_of, sampled, telling
from validation.reference import Reference

SENTENCES = {
    "English": (
        "A sturdy oak dining table that seats six and wipes clean in a moment.",
        "Floor lamp with a linen shade and a brass base; the bulb is not included.",
        "Our softest wool rug, woven by hand and made to last for years.",
        "This shelf holds up to twenty kilos and comes with all the screws you need.",
        "Stackable garden chair with a quick drying seat, safe to leave out in the rain.",
        "The drawers close gently by themselves, so the whole house can sleep.",
        "Set of four stoneware bowls, each glazed by hand and slightly different.",
        "Mirror with a thin black frame, which you can hang upright or sideways.",
    ),
    "German": (
        "Stabiler Esstisch aus Eiche für sechs Personen, der sich leicht abwischen lässt.",
        "Stehlampe mit Leinenschirm und Fuß aus Messing; das Leuchtmittel liegt nicht bei.",
        "Unser weichster Teppich aus Wolle, von Hand gewebt und viele Jahre haltbar.",
        "Dieses Regal trägt bis zu zwanzig Kilo, und alle Schrauben sind dabei.",
        "Stapelbarer Gartenstuhl, dessen Sitz schnell trocknet und im Regen bleiben darf.",
        "Die Schubladen schließen sanft von selbst, damit alle weiterschlafen können.",
        "Vier Schalen aus Steinzeug, jede von Hand glasiert und ein wenig anders.",
        "Spiegel mit schmalem schwarzem Rahmen, den man hoch oder quer aufhängen kann.",
    ),
    "French": (
        "Table à manger en chêne massif pour six personnes, facile à nettoyer.",
        "Lampadaire avec abat-jour en lin et pied en laiton, ampoule non fournie.",
        "Notre tapis en laine le plus doux, tissé à la main et fait pour durer.",
        "Cette étagère supporte vingt kilos et toutes les vis sont comprises.",
        "Chaise de jardin empilable dont l'assise sèche vite et ne craint pas la pluie.",
        "Les tiroirs se ferment doucement, et toute la maison peut dormir.",
        "Quatre bols en grès, émaillés un par un et tous un peu différents.",
        "Miroir au cadre noir et fin, que l'on accroche debout ou couché.",
    ),
    "Spanish": (
        "Mesa de comedor de roble macizo para seis personas, fácil de limpiar.",
        "Lámpara de pie con pantalla de lino y base de latón; no incluye la bombilla.",
        "Nuestra alfombra de lana más suave, tejida a mano y hecha para durar.",
        "Este estante aguanta veinte kilos y trae todos los tornillos que hacen falta.",
        "Silla de jardín apilable con asiento que seca pronto y aguanta la lluvia.",
        "Los cajones se cierran despacio, y así toda la casa puede dormir.",
        "Cuatro cuencos de gres, esmaltados uno a uno y todos algo distintos.",
        "Espejo con marco negro y fino, que se cuelga de pie o tumbado.",
    ),
    "Dutch": (
        "Stevige eettafel van eikenhout voor zes personen, die je zo schoonveegt.",
        "Staande lamp met een linnen kap en een voet van messing; zonder peertje.",
        "Ons zachtste wollen kleed, met de hand geweven en gemaakt voor jaren.",
        "Deze plank draagt twintig kilo en alle schroeven zitten erbij.",
        "Stapelbare tuinstoel waarvan de zitting snel droogt en tegen regen kan.",
        "De laden sluiten zacht vanzelf, zodat het hele huis kan slapen.",
        "Vier kommen van steengoed, elk met de hand geglazuurd en net even anders.",
        "Spiegel met een smalle zwarte lijst, die je rechtop of dwars ophangt.",
    ),
    "Italian": (
        "Tavolo da pranzo in rovere massiccio per sei persone, facile da pulire.",
        "Lampada da terra con paralume di lino e base in ottone; lampadina esclusa.",
        "Il nostro tappeto di lana più morbido, tessuto a mano e fatto per durare.",
        "Questa mensola regge venti chili e ha tutte le viti che servono.",
        "Sedia da giardino impilabile, la seduta asciuga presto e non teme la pioggia.",
        "I cassetti si chiudono piano da soli, così tutta la casa può dormire.",
        "Quattro ciotole di gres, smaltate una per una e tutte un po' diverse.",
        "Specchio con una cornice nera e sottile, da appendere dritto o di lato.",
    ),
    "Polish": (
        "Solidny stół z litego dębu dla sześciu osób, który łatwo utrzymać w czystości.",
        "Lampa podłogowa z lnianym kloszem i mosiężną podstawą; żarówki nie ma w zestawie.",
        "Nasz najbardziej miękki dywan z wełny, tkany ręcznie i zrobiony na lata.",
        "Ta półka utrzyma dwadzieścia kilogramów, a wszystkie śruby są w komplecie.",
        "Krzesło ogrodowe, które szybko schnie, nie boi się deszczu i daje się układać.",
        "Szuflady zamykają się same i cicho, więc cały dom może spać.",
        "Cztery miski z kamionki, każda szkliwiona ręcznie i trochę inna.",
        "Lustro w wąskiej czarnej ramie, które można powiesić pionowo albo poziomo.",
    ),
}
ENGLISH_TITLES = (
    "Grey oak dining table",
    "Mosa linen floor lamp",
    "Soft woven wool rug, 160 x 230 cm",
    "White shelf",
    "KIVA stackable garden chair black",
    "Pine chest of drawers",
    "Set of four stoneware bowls",
    "Round mirror",
)
NOUNS = {
    "German": (
        "Esstisch Eiche massiv ausziehbar 160 cm",
        "Stehlampe Messing mit Leinenschirm schwarz",
        "Teppich Wolle handgewebt beige 200 x 300",
        "Kommode weiß mit sechs Schubladen",
        "Gartenstuhl stapelbar Aluminium grau",
    ),
    "French": (
        "Table à manger chêne massif extensible",
        "Lampadaire laiton abat-jour lin noir",
        "Tapis laine tissé main beige 200 x 300",
        "Commode blanche six tiroirs bois",
        "Chaise de jardin empilable aluminium gris",
    ),
    "Spanish": (
        "Mesa comedor roble macizo extensible",
        "Lámpara de pie latón pantalla lino negra",
        "Alfombra lana tejida a mano beige",
        "Cómoda blanca seis cajones madera",
        "Silla jardín apilable aluminio gris",
    ),
    "Dutch": (
        "Eettafel eikenhout massief uitschuifbaar",
        "Staande lamp messing linnen kap zwart",
        "Vloerkleed wol handgeweven beige",
        "Ladekast wit met zes laden hout",
        "Tuinstoel stapelbaar aluminium grijs",
    ),
}
FOREIGN = [language for language in SENTENCES if language != "English"]
USUAL = {"en"}


def texts(*titles: str | None, descriptions: list[str | None] | None = None) -> pd.DataFrame:
    said = descriptions or [None] * len(titles)
    return pd.DataFrame({"title": titles, "description": said}, dtype=object)


@pytest.fixture
def catalogue(listings: Listings) -> pd.DataFrame:
    """64 accepted listings in English: each sentence eight times, under a number of its own."""
    said = [f"{sentence} No. {number}" for number in range(8) for sentence in SENTENCES["English"]]
    frame = listings(*[f"k{number}" for number in range(64)], title=said)
    return gate.check_items(frame, now=NOW).accepted


def told(frame: pd.DataFrame, known: pd.DataFrame) -> dict[int, list[str]]:
    rows = gate.check_items(frame, known_items=known, now=NOW).warnings
    return dict(zip(rows["row_number"].tolist(), rows["reasons"].tolist(), strict=True))


def test_every_language_of_the_detector_has_a_name() -> None:
    eldc.init()
    assert set(eldc.LANGUAGES) == set(NAMES)


@pytest.mark.parametrize("language", FOREIGN)
def test_every_foreign_sentence_is_told(language: str) -> None:
    assert {foreign(sentence, USUAL) for sentence in SENTENCES[language]} == {language}


@pytest.mark.parametrize("language", SENTENCES)
def test_no_sentence_is_foreign_in_its_own_language(language: str) -> None:
    (code,) = {language_of(sentence) for sentence in SENTENCES[language]}
    assert code is not None
    assert NAMES[code] == language
    assert {foreign(sentence, {code, "en"}) for sentence in SENTENCES[language]} == {None}


def test_most_titles_of_mere_nouns_are_told_and_none_wrongly() -> None:
    found = [(foreign(title, USUAL), language) for language in NOUNS for title in NOUNS[language]]
    assert all(said in (None, language) for said, language in found)
    assert sum(said is not None for said, _ in found) >= 18


@pytest.mark.parametrize("language", FOREIGN)
def test_a_description_counts_more_than_an_english_title(language: str) -> None:
    said = texts(*ENGLISH_TITLES, descriptions=list(SENTENCES[language]))
    assert {foreign(text, USUAL) for text in telling(said)} == {language}


def test_a_short_description_is_read_with_its_title() -> None:
    said = texts("Stehlampe", None, "Stehlampe", descriptions=["aus Messing", "Lampe 4711", None])
    assert [text.strip() for text in telling(said)] == [
        "Stehlampe aus Messing",
        "Lampe 4711",
        "Stehlampe",
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("", "Lampe", "Stehlampe, Messing", "4711-0815 / 2 x 40 x 40 cm / 230 V"),
        *("?" * 40, "#" * 1_000 + SENTENCES["German"][0], None, 3.0),
    ],
)
def test_what_is_short_or_no_text_is_in_no_language(text: object) -> None:
    assert language_of(text) is None
    assert foreign(text, USUAL) is None


@pytest.mark.parametrize("text", ["Lampe\x00 mit Schirm " * 9, "\U0010ffff" * 90, "x" * 1_000_000])
def test_odd_texts_do_no_harm(text: str) -> None:
    language_of(text)


def test_threads_find_the_same() -> None:
    sentences = [sentence for said in SENTENCES.values() for sentence in said] * 20
    expected = [language_of(sentence) for sentence in sentences]
    found: dict[int, list[str | None]] = {}

    def work(number: int) -> None:
        found[number] = [language_of(sentence) for sentence in sentences]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 4


def test_a_listing_in_another_language_is_told_with_both(
    catalogue: pd.DataFrame, listings: Listings
) -> None:
    frame = listings(
        *("a", "b", "c", "d"),
        title=["Oak table", SENTENCES["French"][3], "Stehlampe", "KURA"],
        description=[SENTENCES["German"][0], None, "aus Messing", SENTENCES["English"][3]],
    )
    assert told(frame, catalogue) == {
        0: ["Row 0: the text is in German, while the catalogue's are in English; translate it."],
        1: ["Row 1: the text is in French, while the catalogue's are in English; translate it."],
    }


def test_a_language_that_a_hundredth_of_the_catalogue_is_in_is_usual(
    catalogue: pd.DataFrame, listings: Listings
) -> None:
    german = listings("g", title=[SENTENCES["German"][0]])
    known = pd.concat([catalogue, gate.check_items(german, now=NOW).accepted])
    assert Reference.of(known).languages == {"en", "de"}
    other = listings("a", "b", title=[SENTENCES["German"][3], SENTENCES["Dutch"][0]])
    assert told(other, known) == {
        1: [
            "Row 1: the text is in Dutch, while the catalogue's are in English, German; "
            "translate it."
        ]
    }


def test_too_few_sure_texts_make_no_language_usual(
    catalogue: pd.DataFrame, listings: Listings
) -> None:
    frame = listings("a", title=[SENTENCES["German"][0]])
    assert told(frame, catalogue.head(49)) == {}
    assert told(frame, catalogue.assign(title="Lamp", description=None)) == {}


def test_a_catalogue_that_grew_has_the_languages_of_one_read_at_once() -> None:
    generator = np.random.default_rng(0)
    said = [sentence for language in ("English", "German") for sentence in SENTENCES[language]]
    known = tables.ITEMS.empty().reindex(range(3 * SAMPLE)).astype(object)
    known[tables.ITEM_ID] = [f"k{number}" for number in range(len(known))]
    known[tables.TITLE] = generator.choice(np.array([*said, "Lamp"], dtype=object), len(known))
    parts = [known[:2_500], known[2_000:2_100].assign(title=SENTENCES["Dutch"][0]), known[2_000:]]
    grown = Reference.of(parts[0])
    for part in parts[1:]:
        grown = grown.with_listings(part, photos=None)
    once = Reference.of(known)
    assert grown.languages == once.languages == {"en", "de"}
    samples = [
        reference.listings[sampled(reference.texts.owners)].set_index(tables.ITEM_ID)["language"]
        for reference in (grown, once)
    ]
    pd.testing.assert_series_equal(*(sample.sort_index() for sample in samples))
    assert len(samples[0]) == SAMPLE


def test_a_small_catalogue_is_its_own_sample() -> None:
    owners = hashed(pd.Series([f"k{number}" for number in range(SAMPLE)]))
    assert sampled(owners).all()
    assert sampled(owners[:0]).tolist() == []
