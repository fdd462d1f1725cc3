"""Notes that customers and carriers write into a consignment: free text, and generated.

Nobody publishes such notes, so they are made up, harmless ones, in the languages of the people
who write them. Which consignment has which follows from its id: they change nothing else.
"""

import hashlib

SHARE = 4
"""One consignment in so many has a note."""

MAX_NOTE = 1_000
"""Characters of the longest note."""

NOTES = (
    "Please call the warehouse before delivery, gate 4 closes at 18:00.",
    "Fragile. Do not stack. Ask for Mrs. O'Neill on arrival!",
    "Loaded in ULD 7 with two others; seal intact. -- ramp, shift B",
    "PO 4500017342 / cost centre 880; the invoice goes to Newark as usual",
    "Bitte vorsichtig, Glas. Bei Verspätung kurze Nachricht an Herrn Müller genügt.",
    "Lieferung erst ab 7 Uhr möglich, Rampe 3. Danke!",
    "Merci de prévenir M. Dubois à l'arrivée ; le quai est fermé de 12 h à 14 h.",
    "Gracias por avisarnos si cambia el vuelo. Es para la feria del sábado.",
    "Por favor, mantener en posição vertical. Obrigado!",
    "Consegna al piano terra, chiedere di Giulia. Il 30 % è materiale fotografico.",
    "Proszę nie piętrować. Odbiór tylko za okazaniem dokumentu.",
    "Просьба не переворачивать. При задержке звоните диспетчеру.",
    "请勿倾斜。到达前一小时请打电话通知仓库。",
    "天地無用。到着が遅れる場合はメールでお知らせください。",
    "깨지기 쉬움. 도착 후 담당자에게 연락 바랍니다.",
    "يرجى الاتصال قبل التسليم. شكراً",
    "נא לא להניח חפצים כבדים מעל. תודה",
    "कृपया सावधानी से संभालें। पहुँचने पर फ़ोन करें।",
)


def note_of(consignment: str) -> str | None:
    """The note that a consignment came with; None where nobody wrote one."""
    number = int.from_bytes(hashlib.sha256(f"note/{consignment}".encode()).digest()[:8], "big")
    has, which = number % SHARE == 0, number // SHARE % len(NOTES)
    return NOTES[which] if has else None
