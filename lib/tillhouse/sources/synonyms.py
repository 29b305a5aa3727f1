"""Under which names and words exports tell of fields, kinds of record and codes: German (with Swiss wording) and English.

All are written plainly: small, without blanks, marks and umlauts, as ``plain`` makes them. The first names are the surest.
"""

from __future__ import annotations

import re
import unicodedata

# Time of day, in a column beside the day; no field by itself.
TIME_OF_DAY = "(time)"

# By field, for whatever kind of record has it; names of one kind only stand below.
NAMES = {
    "branch_id": "filiale filialnr filialnummer filialid markt marktnr laden ladennr standort betriebsstaette haus "
    "verkaufsstelle branch store storeid shop location outlet site branchno branchid storenumber storeno filnr fil",
    "register_id": "kasse kassennr kassennummer kassenid terminal register till pos workstation device",
    "closing_id": "znr zbericht kassenabschluss abschluss closing zreport session",
    "receipt_id": "bonnr bonnummer bon belegnr belegnummer beleg bonid receipt receiptid receiptno receiptnumber transaction "
    "transactionid transaktionsnummer ticket ticketnr order orderid vorgang rechnungsnr quittung quittungsnr saleid salesid "
    "saleno orderno",
    "receipt_number": "bonnummer bonnr belegnummer belegnr bon kassenbon quittung quittungsnr receipt receiptno receiptnumber",
    "transaction_type": "vorgangsart belegart transactiontype doctype belegtyp",
    "started_at": "zeitpunkt datumuhrzeit datumzeit timestamp datetime bonzeit verkaufszeit verkauftam soldat createdat "
    "completedat transactiontime",
    "business_date": "datum bondatum belegdatum tag buchungstag buchungsdatum date day businessdate saledate verkaufsdatum",
    TIME_OF_DAY: "uhrzeit zeit bonuhrzeit time timeofday",
    "operator": "bediener kassierer kassierin verkaeufer mitarbeiter operator cashier employee clerk",
    "team": "team abteilung gruppe department group",
    "channel": "kanal vertriebskanal kontaktkanal eingangskanal medium channel source via",
    "currency": "waehrung currency currencycode whg",
    "card_number": "kundenkarte kartennr kartennummer kundenkartennr cardnumber cardno loyaltycard card bonuskarte treuekarte "
    "mitgliedskarte membercard",
    "customer_number": "kundennummer kundennr kunde kdnr customernumber customerno customerid customer debitor debitorennr "
    "debitorennummer kundenkonto clientno custno cust",
    "stated_gross_amount": "bonsumme summe gesamtbetrag belegsumme bonbetrag receipttotal total grandtotal",
    "line_number": "position pos posnr positionsnr zeile zeilennr line linenumber lineno lfdnr",
    "line_type": "positionsart zeilenart linetype",
    "product_ref": "artnr artikelnr artikelnummer artikelid sku plu artikel itemid item productid productno product produkt "
    "articleno article itemnumber productcode",
    "product_id": "artnr artikelnr artikelnummer artikelid materialnummer produktnummer produktnr productid productno "
    "productnumber productcode sku articleno articlenumber article itemno itemnumber",
    "gtin": "ean gtin barcode strichcode upc eancode",
    "category_ref": "warengruppe warengr wgr wg category department productgroup wgnr",
    "quantity": "menge anzahl stueck stk qty quantity units absatz anz",
    "unit": "einheit me mengeneinheit unit uom",
    "unit_price": "einzelpreis epreis ep preis vkpreis vk unitprice price",
    "gross_amount": "betrag umsatz brutto bruttobetrag bruttoumsatz gesamtpreis positionsbetrag amount gross grossamount "
    "linetotal extendedamount totalprice umsatzbrutto wert betraginklmwst betragbrutto preisbrutto",
    "net_amount": "netto nettobetrag nettoumsatz net netamount umsatznetto",
    "tax_amount": "mwst ust steuer steuerbetrag mwstbetrag vat tax taxamount",
    "discount_amount": "rabatt nachlass rabattbetrag ermaessigung discount discountamount saving",
    "return_reason": "retourengrund rueckgabegrund returnreason",
    "product_name": "bezeichnung artikelbezeichnung artikelname produktname artikeltext artikel name productname itemname "
    "title description produkt product bez artbez",
    "category_l1": "warengruppe1 ebene1 hauptwarengruppe level1 categoryl1 categorylevel1 maincategory hauptgruppe abteilung",
    "category_l2": "warengruppe2 ebene2 unterwarengruppe level2 categoryl2 categorylevel2 subcategory untergruppe",
    "category_l3": "warengruppe3 ebene3 level3 categoryl3 categorylevel3",
    "product_line": "produktlinie linie sortiment productline line",
    "brand": "marke hersteller brand manufacturer",
    "price_tier": "preislage preisklasse pricetier",
    "variant_of": "hauptartikel stammartikel vaterartikel parent parentsku variantof",
    "is_bundle": "set stueckliste istset isbundle bundle",
    "list_price": "vk verkaufspreis listenpreis ladenpreis preis uvp listprice retailprice salesprice price rrp vkp",
    "valid_from": "gueltigab gueltigvon abdatum validfrom from ab datefrom effectivefrom startdate",
    "valid_until": "gueltigbis bisdatum validuntil validto until bis dateto effectiveto enddate",
    "branch_name": "filialname marktname name branchname storename ladenname bezeichnung",
    "region": "region gebiet bezirk kanton bundesland area district state",
    "location": "ort stadt adresse city town place",
    "format": "format filialtyp markttyp storetype storeformat vertriebslinie",
    "time_zone": "zeitzone timezone tz",
    "day_start": "tagesbeginn daystart",
    "opened_on": "eroeffnung eroeffnetam eroeffnungsdatum opened openedon openingdate",
    "closed_on": "geschlossenam schliessung closed closedon closingdate",
    "contact_id": "kontaktid kontaktnr kontaktnummer contactid contactno recordid datensatzid personid partnerid",
    "contact_source": "kontaktquelle contactsource",
    "party_type": "kundenart kundentyp partytype customertype persontype",
    "salutation": "anrede salutation prefix",
    "title": "titel akademischertitel title academictitle",
    "given_name": "vorname givenname firstname forename rufname first",
    "family_name": "nachname familienname zuname familyname lastname surname name last",
    "company": "firma firmenname unternehmen unternehmensname company companyname organisation organization accountname "
    "account",
    "contact_person": "ansprechpartner ansprechperson kontaktperson contactperson",
    "birth_date": "geburtsdatum geburtstag gebdatum gebdat birthdate birthday dateofbirth dob",
    "gender": "geschlecht gender sex anrede",
    "language": "sprache korrespondenzsprache language lang locale preferredlanguage",
    "emails": "email emailadresse mail mailadresse emailaddress emailprivat emailgeschaeftlich",
    "phones": "telefon telefonnummer tel telefonnr handy handynummer mobil mobiltelefon mobilnummer natel phone phonenumber "
    "mobile mobilephone mobilenumber cell cellphone telephone rufnummer festnetz telprivat telgeschaeft",
    "email": "email emailadresse mail mailadresse emailaddress",
    "phone": "telefon telefonnummer tel handy mobil mobiltelefon natel phone phonenumber mobile rufnummer caller anrufer",
    "street": "strasse strassehausnr strassenr strasseundhausnummer anschrift adresse street streetaddress address address1 "
    "addressline1 addressstreet",
    "postal_code": "plz postleitzahl postalcode postcode zip zipcode",
    "city": "ort stadt wohnort city town",
    "country": "land laendercode laenderkuerzel country countrycode countryregion",
    "tax_id": "ustid ustidnr uidnummer uid umsatzsteuerid steuernummer vatid vatnumber taxid",
    "company_ids": "firmenid unternehmensid accountid companyid associatedcompanyids",
    "home_branch_id": "stammfiliale heimatfiliale hausfiliale stammmarkt lieblingsfiliale homebranch homestore preferredstore "
    "filiale",
    "loyalty_tier": "stufe status kundenstatus bonusstufe tier loyaltytier level memberlevel",
    "loyalty_points": "punkte punktestand bonuspunkte points loyaltypoints pointsbalance pointbalance cumuluspunkte",
    "created_at": "angelegtam erstelltam erfasstam anlagedatum erstellungsdatum mitgliedseit beitritt created createdat "
    "createdate createddate createdon membersince joined joinedon registeredat registriert erfassungsdatum createdtime "
    "joindate eintritt eintrittsdatum",
    "changed_at": "geaendertam geaendert aenderungsdatum letzteaenderung zuletztgeaendert changed changedat modified "
    "modifiedat modifiedon lastmodified lastmodifieddate updated updatedat lastupdate mutationsdatum mutiertam modifiedtime "
    "updatetime lastchanged",
    "is_deleted": "geloescht gekuendigt storniert loeschkennzeichen deleted isdeleted cancelled canceled archived",
    "ticket_id": "ticketnr ticketnummer ticketid ticket fallnummer fallnr vorgangsnummer vorgangsnr reklamationsnr caseid "
    "casenumber case ticketnumber ticketno",
    "ticket_type": "tickettyp ticketart art typ anliegen vorgangsart casetype tickettype type kind",
    "status": "status ticketstatus state bearbeitungsstand",
    "priority": "prioritaet dringlichkeit priority urgency",
    "category": "kategorie thema themengebiet bereich category topic",
    "reason": "grund ursache anlass reason cause",
    "subject": "betreff thema titel subject headline",
    "note": "notiz bemerkung beschreibung kommentar text note notes remark description body",
    "opened_at": "eroeffnetam eroeffnet eingangam eingang eingegangenam erstelltam erfasstam gemeldetam opened openedat "
    "opendate created createdat createdon reportedat",
    "due_at": "faelligam faellig frist due dueat duedate deadline",
    "closed_at": "geschlossenam geschlossen erledigtam geloestam abgeschlossenam closed closedat closedon solvedat resolvedat",
    "agent": "bearbeiter sachbearbeiter zustaendig agent assignee owner mitarbeiter besitzer",
    "satisfaction": "zufriedenheit bewertung csat satisfaction rating satisfactionscore",
    "interaction_id": "kontaktnr kontaktnummer gespraechsnr gespraechsid anrufnr anrufid interaktionsid interactionid "
    "contactno callid calldid conversationid chatid interactionno",
    "direction": "richtung direction inout",
    "ended_at": "ende endeam beendetam gespraechsende ended endedat end endtime hangupat",
    "outcome": "ergebnis ausgang resultat outcome result disposition",
    "campaign_id": "kampagne kampagnennr kampagnenid kampagnennummer kampagnencode aktion aktionsnr aktionscode campaign "
    "campaignid campaigncode campaignno utmcampaign",
    "campaign_name": "kampagnenname bezeichnung aktionsname name campaignname title titel",
    "campaign_type": "kampagnentyp kampagnenart art typ campaigntype type",
    "starts_on": "start beginn startdatum von ab starton startson startdate begin begins from",
    "ends_on": "ende enddatum bis end endson enddate ends until to",
    "cost_amount": "kosten budget cost costs costamount spend budgetedcost",
    "owner_team": "verantwortlich team ownerteam owner",
    "event": "ereignis ereignisart aktion event eventtype eventname action activity type typ art",
    "occurred_at": "zeitpunkt zeitstempel ereigniszeit timestamp ts time occurredat eventtime createdat versandzeitpunkt "
    "versendetam datumuhrzeit sentat",
    "occurred_on": "datum tag versanddatum kontaktdatum date day occurredon sentdate",
    "test_group": "testgruppe kontrollgruppe gruppe testgroup group cell variant",
    "response": "antwort reaktion rueckmeldung response answer reaction",
    "coupon_id": "coupon couponnr couponcode couponid gutschein gutscheinnr gutscheincode rabattcode vouchercode couponno "
    "promocode",
    "redeemed_at": "eingeloestum einloesezeitpunkt einloesezeit redeemedat redemptiontime",
    "redeemed_on": "eingeloestam einloesedatum einloesetag datum tag redeemedon redemptiondate day date redeemed",
    "event_id": "ereignisid eventid hitid id eventno",
    "cart_id": "warenkorb warenkorbid cart cartid basketid basket checkoutid",
    "visitor_id": "besucher besucherid cookie cookieid visitor visitorid deviceid clientid anonymousid sessionid",
    "amount": "betrag summe rechnungsbetrag bruttobetrag gesamtbetrag amount total value totalamount invoiceamount gross wert",
    "device": "geraet geraetetyp device devicetype",
    "item_id": "belegnummer belegnr beleg rechnungsnummer rechnungsnr postennr postennummer documentno documentnumber "
    "invoiceno invoicenumber invoiceid docno itemid",
    "item_type": "belegart belegtyp postenart documenttype doctype itemtype art typ type kind",
    "invoice_id": "rechnung rechnungsnummer rechnungsnr zurechnung bezugsbeleg invoice invoiceid invoiceno invoicenumber",
    "dunning_level": "mahnstufe mahnstatus dunninglevel dunning reminderlevel",
    "issued_on": "belegdatum rechnungsdatum ausgestelltam datum issued issuedon issuedate invoicedate documentdate docdate "
    "postingdate date",
    "due_on": "faelligam faellig faelligkeit faelligkeitsdatum zahlbarbis due dueon duedate",
    "paid_on": "bezahltam bezahlt ausgeglichenam zahlungsdatum zahldatum paid paidon paymentdate cleared clearedon",
    "open_amount": "offen offenerbetrag offenerposten restbetrag saldo open openamount balance outstanding amountdue",
    "survey_id": "umfrage umfragenr umfrageid befragung befragungsnr survey surveyid surveyno poll",
    "survey_name": "umfragename umfragetitel titel surveyname surveytitle title name",
    "response_id": "fragebogen fragebogennr antwortbogen teilnahme teilnahmenr responseid response submission submissionid "
    "respondentid",
    "question_id": "fragenr fragenummer frageid questionid questionno questionnumber qid frage question",
    "question": "fragetext frage wortlaut questiontext question",
    "answer": "antwort antworttext answer answertext choice",
    "score": "note punkte wert skala bewertung sterne score rating stars nps mark punktzahl",
    "comment": "kommentar freitext bemerkung anmerkung comment freetext remark",
    "answered_at": "beantwortetam ausgefuelltam teilnahmeam zeitpunkt datum answered answeredat submittedat completedat "
    "submitted timestamp date abgeschicktam eingereichtam",
    "preference_type": "praeferenzart art typ preferencetype type kind",
    "value": "wert auspraegung value",
    "planned_on": "geplantam geplant kaufdatumgeplant planned plannedon planneddate plannedfor",
    "budget_amount": "budget preisrahmen budgetamount maxprice",
    "stated_at": "angegebenam erfasstam genanntam stated statedat createdat recordedat",
    "serial_number": "seriennummer seriennr geraetenummer serial serialnumber serialno sn imei",
    "model": "modell modellbezeichnung typenbezeichnung geraet model modelname",
    "purchased_on": "kaufdatum gekauftam kauftag purchased purchasedon purchasedate bought boughton dateofpurchase",
    "period": "zeitraum periode period granularity",
    "revenue_amount": "plan planumsatz umsatzplan sollumsatz soll umsatzziel ziel budget target revenue revenuetarget "
    "plannedrevenue expectedrevenue",
    "system": "system quellsystem quelle herkunft kanal sourcesystem source platform",
    "kind": "nummernart codeart codetyp art typ kind type codetype idtype",
    "pack_factor": "inhalt packungsinhalt gebindegroesse packfactor packsize unitsperpack",
    "bundle_id": "set setnr setnummer bundle bundleid stuecklistennr bundlesku kit kitid",
    "price": "preis vk verkaufspreis bruttopreis price unitprice salesprice retailprice vkp",
    "includes_tax": "inklmwst inklust bruttopreis includestax taxincluded inclvat",
    "stock_date": "stichtag bestandsdatum bestandstag datum tag stockdate asof asofdate snapshotdate date day inventorydate "
    "stand standvom per",
    "fulfilment": "lieferart versandart fulfilment fulfillment delivery",
    "promotion_amount": "aktionsrabatt promotionsrabatt promotionamount promotiondiscount",
    "coupon_amount": "herstellercoupon couponbetrag couponamount",
    "parent_line_number": "bezugsposition hauptposition parentline parentlinenumber",
    "is_void": "storno zeilenstorno void isvoid voided",
    "voucher_number": "gutscheinnummer gutscheinnr vouchernumber giftcardnumber",
}  # fmt: skip

# Names that a field has in one kind of record only, before those above.
NAMES_OF_KIND = {
    "receipt.card_number": "kundenkarte kartennr kundennr kundennummer kunde loyaltycard customer customerid card membership",
    "contact.contact_id": "id mitgliedsnummer mitgliedsnr mitgliednr mitgliedid memberno memberid membernumber kundenid "
    "customerid kontakt contact contactid recordid adressnr adressnummer adressid empfaengerid leadid",
    "contact.customer_number": "kundennummer kundennr kdnr customernumber customerno clientno",
    "ticket.opened_at": "eroeffnetam eroeffnet eingangam eingang erstelltam gemeldetam datum opened openedat createdat date",
    "survey_answer.answered_at": "beantwortetam ausgefuelltam zeitpunkt datum tag answered answeredat submittedat submitted "
    "date",
    "ticket.product_ref": "artikel artikelnr artikelnummer produkt product sku article",
    "interaction.started_at": "beginn gespraechsbeginn anrufzeit zeitpunkt start started startedat starttime begin datum date "
    "calltime",
    "interaction.campaign_id": "kampagne campaign campaignid",
    "campaign.campaign_id": "kampagnennr kampagnenid kampagnennummer kampagnencode kampagne aktionsnr aktionscode campaignid "
    "campaigncode campaignno campaign id code nr",
    "coupon.coupon_id": "coupon couponnr couponcode couponid gutscheinnr gutscheincode rabattcode couponno promocode code",
    "coupon.product_ref": "artikel artikelnr artikelnummer artnr produkt sku article product",
    "survey_answer.comment": "kommentar freitext freitextantwort bemerkung anmerkung comment freetext remark",
    "warranty.ends_on": "garantiebis garantieende garantieablauf ende bis end endson enddate expires expiry warrantyend "
    "warrantyuntil",
    "stock.quantity": "bestand lagerbestand menge stueck stockquantity stock onhand quantity qty available inventory anzahl "
    "bestmenge best",
    "plan.starts_on": "monat periode tag datum woche startdatum month period week day date start periodstart",
    "plan.category_l1": "warengruppe sortiment category productgroup department",
    "category.category_ref": "kategorie warengruppe wg kategorienr category categoryid categoryname categoryref",
    "category.category_l1": "ebene1 gruppe1 hauptgruppe level1 categoryl1 group1",
    "category.category_l2": "ebene2 gruppe2 untergruppe level2 categoryl2 group2",
    "category.category_l3": "ebene3 gruppe3 level3 categoryl3 group3",
    "product_reference.value": "nummer fremdnummer fremdartikelnr lieferantenartikelnr code value number externalid identifier",
    "price_list.channel": "kanal vertriebskanal preisliste channel pricelist",
    "price_list.price": "preis vk verkaufspreis bruttopreis price unitprice salesprice retailprice listprice",
    "branch.branch_id": "filialnr filialnummer filialid filiale marktnr markt nr storeid storeno storenumber store branchid "
    "branch",
    "branch.location": "ort stadt adresse location city town place",
    "bundle_component.product_id": "komponente artnr artikelnr artikelnummer bestandteil component componentsku componentid "
    "productid sku article",
    "open_item.item_id": "belegnummer belegnr beleg postennr documentno documentnumber docno rechnungsnummer rechnungsnr "
    "invoiceno invoicenumber itemid num",
}  # fmt: skip

# How a file of a kind of record is called, in its name.
KINDS = {
    "receipt": "bon bons belege kassenbons receipts sales umsaetze journal verkaeufe orders bestellungen",
    "product": "artikel artikelstamm produkte products items articles sortiment",
    "branch": "filialen maerkte standorte branches stores",
    "contact": "kontakte contacts kunden customers mitglieder members personen crm adressen kundenstamm people",
    "ticket": "tickets reklamationen faelle cases beschwerden",
    "interaction": "gespraeche anrufe calls interactions callcenter",
    "campaign": "kampagnen campaigns aktionen",
    "campaign_contact": "versand mailing kampagnenkontakte responses sends reaktionen",
    "coupon": "coupons gutscheine",
    "coupon_redemption": "einloesungen redemptions",
    "web_event": "events webevents clickstream tracking ereignisse",
    "open_item": "offeneposten rechnungen invoices openitems debitoren op mahnungen receivables",
    "survey_answer": "umfrage umfragen survey surveys antworten answers befragung",
    "preference": "praeferenzen preferences interessen wunschliste",
    "warranty": "garantien warranties garantie geraete",
    "plan": "plan planumsatz budget targets umsatzziele",
    "product_reference": "nummern querverweise references crossreference",
    "category": "warengruppen kategorien categories",
    "bundle_component": "stueckliste stuecklisten sets bundles kits",
    "price_list": "preise preisliste prices pricelist",
    "stock": "bestand bestaende lager stock inventory",
}

# Words of exports for the values of codes; a code stands for itself.
CODES = {
    "gender": {"female": "w f frau weiblich mrs ms miss", "male": "m herr maennlich mr", "diverse": "d divers mx"},
    "party_type": {"person": "privat privatkunde private individual", "company": "firma unternehmen business geschaeftskunde"},
    "ticket_type": {
        "complaint": "reklamation beschwerde mangel", "question": "frage anfrage", "request": "wunsch auftrag bitte",
        "return": "rueckgabe retoure umtausch", "repair": "reparatur", "praise": "lob", "other": "sonstiges sonstige andere",
    },
    "ticket.status": {
        "open": "offen neu new inbearbeitung inprogress", "pending": "wartet wartend rueckfrage onhold waiting",
        "closed": "geschlossen erledigt geloest solved resolved done",
    },
    "direction": {"inbound": "in ein eingehend incoming", "outbound": "out aus ausgehend outgoing"},
    "campaign_contact.event": {
        "sent": "send gesendet versendet versandt", "delivered": "zugestellt", "opened": "open geoeffnet openedemail",
        "clicked": "click geklickt klick clickedemail", "responded": "response geantwortet beantwortet antwort answered reply",
        "bounced": "bounce unzustellbar", "unsubscribed": "optout abgemeldet abmeldung unsubscribe",
    },
    "test_group": {"target": "t zielgruppe test a treatment", "control": "c kontrolle kontrollgruppe k holdout"},
    "web_event.event": {
        "view": "ansicht pageview viewitem productview", "search": "suche", "cart_add": "addtocart warenkorb inwarenkorb",
        "cart_remove": "removefromcart", "checkout": "kasse begincheckout",
        "cart_abandoned": "abandoned abgebrochen verlassen", "purchase": "kauf order bestellung bestellt",
    },
    "item_type": {
        "invoice": "re rechnung faktura inv bill", "credit_note": "gs gutschrift creditmemo credit",
        "payment": "za zahlung zahlungseingang paid receipt", "dunning": "ma mahnung reminder dunningnotice",
    },
    "preference_type": {
        "preference": "praeferenz likes like mag interesse", "dislike": "dislikes abneigung magnicht",
        "planned_purchase": "plans geplant kaufabsicht wunsch planned",
    },
    "period": {"day": "tag d", "week": "woche w", "month": "monat m", "year": "jahr y"},
    "kind": {"gtin": "ean upc barcode", "sku": "artikelnummer shopsku", "vendor_id": "lieferant vendor supplier"},
    "transaction_type": {
        "SALE": "verkauf umsatz beleg vente", "RETURN": "retoure rueckgabe erstattung refund", "CANCELLED": "storno abbruch void",
        "EXCHANGE": "umtausch", "TRAINING": "schulung",
    },
    "receipt.status": {"FINAL": "abgeschlossen closed fertig done completed", "OPEN": "offen", "VOIDED": "storniert void"},
    "line_type": {"ITEM": "artikel verkauf umsatz", "DISCOUNT": "rabatt nachlass", "SURCHARGE": "aufschlag", "DEPOSIT": "pfand"},
    "fulfilment": {"store": "laden filiale", "pickup": "abholung abholer", "ship": "versand lieferung shipping delivery"},
}  # fmt: skip

# Names of columns that tell of consent. Whether they say yes or no is for people to read.
CONSENT = (
    "optin", "optout", "newsletter", "werbung", "einwilligung", "consent", "marketing", "unsubscribed", "abgemeldet", "donot",
    "widerspruch",
)  # fmt: skip

FOOTERS = ("summe", "gesamt", "total", "zwischensumme", "endsumme", "tagessumme", "tagestotal", "grand total", "sum")
_BESIDE = ("eur", "euro", "chf", "usd", "gbp", "in", "inkl", "incl", "mwst", "vat", "tax")
_NUMBER = re.compile("(?<=.)(nummer|number|num|no|nr)$")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})


def plain(name: str) -> str:
    """A name without case, umlauts, blanks and marks."""
    spelled = unicodedata.normalize("NFC", name).lower().translate(_UMLAUTS)
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", spelled))


def spellings(name: str) -> tuple[str, ...]:
    """A plain name with one word for all that mean number, and the same without currency and tax beside it."""
    words = [plain(part) for part in re.split(r"[\W_]+", name)]
    return tuple(_NUMBER.sub("nr", "".join(kept)) for kept in (words, [word for word in words if word not in _BESIDE]))


def names(kind: str, field: str) -> tuple[str, ...]:
    """Names that a field of a kind of record usually has in exports."""
    own = NAMES_OF_KIND.get(f"{kind}.{field}", "").split()
    usual = (plain(field), *own, *NAMES.get(field, "").split())
    return tuple(dict.fromkeys(written for name in usual for written in (_NUMBER.sub("nr", name), name)))


def code_words(kind: str, field: str, allowed: tuple[str, ...]) -> dict[str, str]:
    """The code that each word stands for."""
    words = CODES.get(f"{kind}.{field}") or CODES.get(field, {})
    return {plain(code): code for code in allowed} | {word: code for code in words for word in words[code].split()}


def tells_consent(column: str) -> bool:
    """Whether a column's name tells of consent to advertising."""
    return any(word in plain(column) for word in CONSENT)
